package leshan

import (
	"fmt"
	"strconv"
	"strings"
)

// A Response is what a device answered, as JacksonResponseSerializer writes it.
type Response struct {
	Status  string `json:"status"` // "CONTENT(205)"
	Valid   bool   `json:"valid"`  // the code is one that LwM2M knows
	Success bool   `json:"success"`
	Failure bool   `json:"failure"`
	Content Node   `json:"content,omitempty"` // of a read
	Message string `json:"errormessage,omitempty"`
}

// A Delayed answers for a device that does not listen now (ClientServlet.ResponseDelayed).
type Delayed struct {
	Endpoint string `json:"ep"`
	Path     string `json:"path"`
	Request  string `json:"requestId"`
	Delayed  bool   `json:"delayed"`
}

// codes are the names of ResponseCode.
var codes = map[string]string{
	"2.01": "CREATED", "2.02": "DELETED", "2.04": "CHANGED", "2.05": "CONTENT", "4.00": "BAD_REQUEST",
	"4.01": "UNAUTHORIZED", "4.03": "FORBIDDEN", "4.04": "NOT_FOUND", "4.05": "METHOD_NOT_ALLOWED",
	"4.06": "NOT_ACCEPTABLE", "4.08": "REQUEST_ENTITY_INCOMPLETE", "4.12": "PRECONDITION_FAILED",
	"4.13": "REQUEST_ENTITY_TOO_LARGE", "4.15": "UNSUPPORTED_CONTENT_FORMAT", "5.00": "INTERNAL_SERVER_ERROR",
}

// NewResponse returns the response with a code of CoAP ("4.05") and, where that is an
// error, the device's own words.
func NewResponse(code, message string) Response {
	name, known := codes[code]
	if !known {
		name = "UNKNOWN"
	}
	n, _ := strconv.Atoi(strings.ReplaceAll(code, ".", "")) // 0 for what is no code
	ok := strings.HasPrefix(code, "2.")
	out := Response{Status: fmt.Sprintf("%s(%d)", name, n), Valid: known, Success: ok, Failure: !ok}
	if !ok {
		out.Message = message
	}
	return out
}

// IsFormat reports whether Leshan calls a content format so.
func IsFormat(name string) bool {
	switch strings.ToUpper(name) {
	case "TEXT", "LINK", "OPAQUE", "CBOR", "TLV", "JSON", "SENML_JSON", "SENML_CBOR":
		return true
	default:
		return false
	}
}
