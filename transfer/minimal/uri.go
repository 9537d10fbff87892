package minimal

import "bytes"

// A place is host and port of a coaps URI.
type place struct {
	host []byte // without brackets
	port uint32
}

const (
	defaultPort = 5684
	maxPort     = 1<<16 - 1
)

// parseURI reads a coaps URI: visible ASCII, no user information, no fragment, no
// percent-encoding in the host.
func parseURI(uri []byte) (p place, ok bool) {
	const scheme = "coaps://"
	if len(uri) > maxText || len(uri) < len(scheme) || !bytes.EqualFold(uri[:len(scheme)], []byte(scheme)) {
		return p, false
	}
	rest := uri[len(scheme):]
	end := bytes.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	return parsePlace(rest[:end], validRest(rest[end:]))
}

// parsePlace reads host and port.
func parsePlace(authority []byte, ok bool) (p place, good bool) {
	if !ok {
		return p, false
	}
	var port []byte
	if len(authority) > 0 && authority[0] == '[' {
		end := bytes.IndexByte(authority, ']')
		if end < 0 {
			return p, false
		}
		p.host, port = authority[1:end], authority[end+1:]
		ok = all(p.host, isAddress)
	} else {
		end := bytes.IndexByte(authority, ':')
		if end < 0 {
			end = len(authority)
		}
		p.host, port = authority[:end], authority[end:]
		ok = all(p.host, isName)
	}
	p.port = defaultPort
	if len(port) > 0 {
		p.port, good = parsePort(port)
		ok = ok && good
	}
	return p, ok && len(p.host) > 0
}

// parsePort reads ":" and a number without zeros in front.
func parsePort(text []byte) (port uint32, ok bool) {
	if len(text) < 2 || text[0] != ':' || text[1] == '0' {
		return 0, false
	}
	for _, c := range text[1:] {
		if port = port*10 + uint32(c-'0'); c < '0' || c > '9' || port > maxPort {
			return 0, false
		}
	}
	return port, true
}

// validRest checks path and query: visible ASCII without quotes, brackets and the like,
// "%" before two hexadecimal digits only.
func validRest(rest []byte) bool {
	for i, c := range rest {
		if c <= ' ' || c >= 0x7f || bytes.IndexByte([]byte("\"#<>[\\]^`{|}"), c) >= 0 {
			return false
		}
		if c == '%' && (len(rest) < i+3 || !isHex(rest[i+1]) || !isHex(rest[i+2])) {
			return false
		}
	}
	return true
}

func all(text []byte, good func(byte) bool) bool {
	for _, c := range text {
		if !good(c) {
			return false
		}
	}
	return true
}

func isHex(c byte) bool { return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f' }

func isAddress(c byte) bool { return isHex(c) || c == ':' || c == '.' }

func isName(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' || c == '-' || c == '.' || c == '_' || c == '~'
}
