package trace

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"steward/lwm2m/coap"
)

// A Line is a message in words.
type Line struct {
	Type, Code, Token string
	ID                uint16
	What              string // the method's or answer's name and the path
	Options           string
	Payload           string // text, or hexadecimal; the beginning of a long one
	Malformed         string // what is wrong with the datagram
}

// maxShownPayload bounds the payload in a line, in bytes.
const maxShownPayload = 256

var methods = map[coap.Code]string{
	coap.GET: "GET", coap.POST: "POST", coap.PUT: "PUT", coap.DELETE: "DELETE", coap.FETCH: "FETCH",
	coap.PATCH: "PATCH", coap.IPATCH: "iPATCH",
}

// Line returns the message in words. Nothing in it can be taken for more than text.
func (i Item) Line() Line {
	m, err := coap.Parse(i.Datagram)
	if err != nil {
		return Line{Malformed: err.Error(), Payload: hex.EncodeToString(i.Datagram[:min(len(i.Datagram), maxShownPayload)])}
	}
	l := Line{Type: m.Type.String(), Code: m.Code.String(), Token: hex.EncodeToString(m.Token), ID: m.ID}
	what := []string{l.Code}
	if name := methods[m.Code]; name != "" {
		what = []string{name, "/" + strings.Join(pathOf(&m), "/")}
		if q := queryOf(&m); len(q) > 0 {
			what[1] += "?" + strings.Join(q, "&")
		}
	}
	if m.Code == coap.Empty {
		what = []string{"empty"}
	}
	l.What = printable(strings.Join(what, " "))
	l.Options = options(&m)
	switch {
	case i.Blotted:
		l.Payload = "not shown: " + strconv.Itoa(len(m.Payload)) + " bytes that are, or could be, a secret"
	case utf8.Valid(m.Payload) && isText(string(m.Payload)):
		l.Payload = string(m.Payload[:min(len(m.Payload), maxShownPayload)])
		l.Payload = strings.ToValidUTF8(l.Payload, "")
	default:
		l.Payload = hex.EncodeToString(m.Payload[:min(len(m.Payload), maxShownPayload)])
	}
	if !i.Blotted && len(m.Payload) > maxShownPayload {
		l.Payload += fmt.Sprintf("… (%d bytes)", len(m.Payload))
	}
	return l
}

func options(m *coap.Message) string {
	var out []string
	for _, o := range []struct {
		number int
		name   string
	}{{optionObserve, "Observe"}, {optionFormat, "Content-Format"}, {optionAccept, "Accept"}} {
		if n, ok := uintOf(m, o.number); ok {
			out = append(out, o.name+" "+strconv.FormatUint(uint64(n), 10))
		}
	}
	for i, number := range []int{optionBlock1, optionBlock2} {
		if n, ok := uintOf(m, number); ok { // RFC 7959 §2.2
			out = append(out, fmt.Sprintf("Block%d %d/%d/%d", i+1, n>>4, n>>3&1, 16<<(n&7)))
		}
	}
	if location := texts(m, optionLocation); len(location) > 0 {
		out = append(out, "Location /"+strings.Join(location, "/"))
	}
	return printable(strings.Join(out, ", "))
}

func isText(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) })
}

// printable returns text without what a terminal or a page could take for more.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, strings.ToValidUTF8(text, "\ufffd"))
}

// Text returns items as lines for people.
func Text(items []Item) []byte {
	var b strings.Builder
	for _, i := range items {
		l, way := i.Line(), "<-"
		if i.Sent {
			way = "->"
		}
		fmt.Fprintf(&b, "%d %s %s %s", i.Number, i.At.UTC().Format(time.RFC3339Nano), way, i.Addr)
		if i.Claimed {
			b.WriteString(" (unproved)")
		}
		if l.Malformed != "" {
			fmt.Fprintf(&b, " %s\n", l.Malformed)
			continue
		}
		fmt.Fprintf(&b, " %s mid=%d token=%s %s", l.Type, l.ID, l.Token, l.What)
		if l.Options != "" {
			b.WriteString(" [" + l.Options + "]")
		}
		if l.Payload != "" {
			b.WriteString("\n    " + l.Payload)
		}
		b.WriteByte('\n')
	}
	return []byte(b.String())
}
