package suit

// The bounds of what is decoded. All are checked before anything is allocated;
// nothing is allocated from a length that the input merely claims.
const (
	// MaxEnvelope is the length in bytes of the longest envelope accepted
	// without a limit of the caller's: the largest image pushed inside one.
	MaxEnvelope = 16 << 20
	// MaxComponents is the number of components of one manifest.
	MaxComponents = 32
	// MaxSequenceDepth is how deep command sequences nest: A/B in a run-sequence
	// in a try-each needs 3.
	MaxSequenceDepth = 8
	// MaxCommands is the number of commands in one sequence.
	MaxCommands = 256

	maxDepth     = 32  // of CBOR items inside one byte string
	maxMembers   = 256 // pairs of one map, items of one array
	maxBlocks    = 8   // authentication blocks: author, operators, MACs
	maxLanguages = 32
)

// Limits bound what Decode accepts. Zero fields mean the constants above.
type Limits struct {
	// Envelope is the number of bytes of an envelope.
	Envelope int
	// Untagged accepts envelopes without tag 107 as well, as other protocols
	// carry them. A tagged one is always accepted.
	Untagged bool
}
