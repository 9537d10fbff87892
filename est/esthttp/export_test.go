package esthttp

// For the fuzz target.
var (
	DecodeBody = decodeBody
	EncodeBody = encodeBody
)
