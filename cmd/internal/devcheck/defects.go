package devcheck

import (
	"bytes"
	"strings"

	"github.com/fxamacker/cbor/v2"

	"steward/suit/cose"
	"steward/transfer"
)

// A defect is one wrong thing in a message that is right otherwise.
type defect struct {
	check int64 // that finds it
	what  string
	order func(*Check, *order)
	bytes func(*Check, []byte) ([]byte, error) // of the signed message; nil: as it is
	clock bool                                 // needs one
	bare  bool                                 // no mandate was ever written
	old   bool                                 // needs a stored epoch above 0
}

const claim = -65537 // that holds the labels of the protocol

// altered returns a message with another payload, signed by the outgoing provider.
func altered(c *Check, raw []byte, change func(claims, labels map[any]any)) ([]byte, error) {
	m, err := cose.ParseSign1(raw)
	if err != nil {
		return nil, err
	}
	var claims map[any]any
	if err := cbor.Unmarshal(m.Payload, &claims); err != nil {
		return nil, err
	}
	labels, ok := claims[int64(claim)].(map[any]any)
	if !ok {
		return nil, errStopped
	}
	change(claims, labels)
	mode, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		return nil, err
	}
	payload, err := mode.Marshal(claims)
	if err != nil {
		return nil, err
	}
	return resign(payload, c.sp1.messages, "steward/message/1")
}

const (
	unknown     = 99 // a label that the protocol does not have
	maxURI      = 255
	contentType = 3 // a header parameter (RFC 9052 §3.1)
)

// formDefects are found by E1.
func formDefects() []defect {
	return []defect{
		{check: 1, what: "is cut short", bytes: func(_ *Check, raw []byte) ([]byte, error) {
			return raw[:len(raw)-1], nil
		}},
		{check: 1, what: "has a byte too many", bytes: func(_ *Check, raw []byte) ([]byte, error) {
			return append(bytes.Clone(raw), 0), nil
		}},
		{check: 1, what: "is tagged", bytes: func(_ *Check, raw []byte) ([]byte, error) {
			return append([]byte{0xc0 | cose.TagSign1}, raw...), nil
		}},
		{check: 1, what: "has an unknown label", bytes: func(c *Check, raw []byte) ([]byte, error) {
			return altered(c, raw, func(_, labels map[any]any) { labels[uint64(unknown)] = true })
		}},
		{check: 1, what: "has an unknown claim", bytes: func(c *Check, raw []byte) ([]byte, error) {
			return altered(c, raw, func(claims, _ map[any]any) { claims[uint64(unknown)] = true })
		}},
		{check: 1, what: "lacks the epoch", bytes: func(c *Check, raw []byte) ([]byte, error) {
			return altered(c, raw, func(_, labels map[any]any) { delete(labels, uint64(6)) })
		}},
		{check: 1, what: "has an integer longer than it need be", bytes: func(c *Check, raw []byte) ([]byte, error) {
			m, err := cose.ParseSign1(raw)
			if err != nil {
				return nil, err
			}
			long := append([]byte{0xb8, m.Payload[0] & 0x1f}, m.Payload[1:]...) // the number of claims
			return resign(long, c.sp1.messages, "steward/message/1")
		}},
		{check: 1, what: "has a header parameter beside alg and kid", bytes: func(c *Check, raw []byte) ([]byte, error) {
			m, err := cose.ParseSign1(raw)
			if err != nil {
				return nil, err
			}
			return resignWith(m.Payload, c.sp1.messages, "steward/message/1", map[int64]any{contentType: 60})
		}},
		{check: 1, what: "has an epoch out of range", bytes: func(c *Check, raw []byte) ([]byte, error) {
			return altered(c, raw, func(_, labels map[any]any) { labels[uint64(6)] = uint64(1) << 32 })
		}},
		{check: 1, what: "has a URI of more than 255 bytes", bytes: func(c *Check, raw []byte) ([]byte, error) {
			return altered(c, raw, func(_, labels map[any]any) {
				labels[uint64(5)] = c.sp1.uri(c.o.Host) + "/" + strings.Repeat("a", maxURI)
			})
		}},
		{check: 1, what: "is longer than 1,024 bytes", bytes: func(c *Check, raw []byte) ([]byte, error) {
			return altered(c, raw, func(_, labels map[any]any) {
				labels[uint64(5)] = c.sp1.uri(c.o.Host) + "/" + strings.Repeat("a", transfer.MaxMessage)
			})
		}},
	}
}

// signatureDefects are found by E2 and E3.
func signatureDefects() []defect {
	return []defect{
		{check: 2, what: "is signed by the incoming provider, whose anchor is staged", order: func(c *Check, o *order) {
			o.by = c.sp2.messages
		}},
		{check: 2, what: "is signed by the present CA, which is no transfer signer", order: func(c *Check, o *order) {
			o.by = transfer.Signer{Key: c.sp1.ca.key, Certificate: c.sp1.ca.certificate.Raw}
		}},
		{check: 2, what: "is signed by the owner, who signs mandates only", order: func(c *Check, o *order) {
			o.by = c.user
		}},
		{check: 3, what: "has another signature", bytes: func(_ *Check, raw []byte) ([]byte, error) {
			raw = bytes.Clone(raw)
			raw[len(raw)-1] ^= 1
			return raw, nil
		}},
		{check: 3, what: "was signed as an offer", bytes: func(c *Check, raw []byte) ([]byte, error) {
			m, err := cose.ParseSign1(raw)
			if err != nil {
				return nil, err
			}
			return resign(m.Payload, c.sp1.messages, "steward/offer/1")
		}},
	}
}

// termDefects are found by E4 to E9.
func termDefects() []defect {
	elsewhere := "coaps://elsewhere.example"
	return []defect{
		{check: 4, what: "names another factory certificate", order: func(_ *Check, o *order) { o.message.Factory[0] ^= 1 }},
		{check: 4, what: "names another endpoint", order: func(_ *Check, o *order) { o.message.Subject += "x" }},
		{check: 5, what: "has the stored epoch", old: true, order: func(_ *Check, o *order) { o.message.Epoch-- }},
		{check: 5, what: "skips an epoch", order: func(_ *Check, o *order) { o.message.Epoch++ }},
		{check: 5, what: "has the last epoch there is", order: func(_ *Check, o *order) { o.message.Epoch = 1<<32 - 1 }},
		{check: 6, what: "has expired", clock: true, order: func(_ *Check, o *order) {
			o.message.Expires, o.message.NotBefore = o.message.NotBefore-3600, o.message.NotBefore-7200
		}},
		{check: 6, what: "ends as it begins", order: func(_ *Check, o *order) { o.message.NotBefore = o.message.Expires }},
		{check: 7, what: "lists an anchor that is not staged", order: func(_ *Check, o *order) {
			o.destination.Anchors = append(o.destination.Anchors, transfer.AnchorRef{Purposes: transfer.DM})
		}},
		{check: 7, what: "does not list an anchor that is staged", order: func(_ *Check, o *order) {
			o.destination.Anchors = o.destination.Anchors[:1]
		}},
		{check: 7, what: "gives an anchor less than is staged", order: func(_ *Check, o *order) {
			o.destination.Anchors[0].Purposes &^= transfer.Update
		}},
		{check: 7, what: "gives an anchor more than is staged", order: func(_ *Check, o *order) {
			o.destination.Anchors[0].Purposes |= transfer.RA
		}},
		{check: 8, what: "has a server URI without security", order: func(_ *Check, o *order) {
			o.destination.ServerURI = "coap" + strings.TrimPrefix(o.destination.ServerURI, "coaps")
		}},
		{check: 8, what: "has an enrolment URI of another scheme", order: func(_ *Check, o *order) {
			o.destination.EnrollURI = "https" + strings.TrimPrefix(o.destination.EnrollURI, "coaps")
		}},
		uriDefect("with a user", func(uri string) string { return strings.Replace(uri, "://", "://somebody@", 1) }),
		uriDefect("with a fragment", func(uri string) string { return uri + "#there" }),
		uriDefect("with percent-encoding in its host", func(uri string) string {
			return strings.Replace(uri, "://", "://%61", 1)
		}),
		{check: 9, what: "leads back to another server", order: func(_ *Check, o *order) {
			o.message.FallbackURI = elsewhere
		}},
		{check: 9, what: "leads back to another CA", order: func(_ *Check, o *order) {
			o.message.FallbackEnrollURI = elsewhere
		}},
	}
}

// uriDefect is a server URI that E8 finds.
func uriDefect(what string, change func(string) string) defect {
	return defect{check: 8, what: "has a server URI " + what, order: func(_ *Check, o *order) {
		o.destination.ServerURI = change(o.destination.ServerURI)
	}}
}

// mandateDefects are found by E11.
func mandateDefects() []defect {
	return []defect{
		{check: 11, what: "has a mandate signed by the provider itself", order: func(c *Check, o *order) {
			o.owner = c.sp1.messages
		}},
		{check: 11, what: "has a mandate for another device", order: func(_ *Check, o *order) {
			o.mandate.Devices.Factory[0][0] ^= 1
		}},
		{check: 11, what: "has a mandate to another provider", order: func(_ *Check, o *order) {
			o.mandate.To += "x"
		}},
		{check: 11, what: "ends after what the mandate allows", order: func(_ *Check, o *order) {
			o.mandate.Window.Latest--
		}},
		{check: 11, what: "keeps the application without permission", order: func(_ *Check, o *order) {
			keep := transfer.ResetKeepApplication
			o.destination.Reset = &keep
		}},
		{check: 11, what: "names another mandate than the one written", bytes: func(c *Check, raw []byte) ([]byte, error) {
			return altered(c, raw, func(_, labels map[any]any) { labels[uint64(12)] = bytes.Repeat([]byte{1}, 32) })
		}},
		{check: 11, what: "names no mandate", bytes: func(c *Check, raw []byte) ([]byte, error) {
			return altered(c, raw, func(_, labels map[any]any) { delete(labels, uint64(12)) })
		}},
	}
}
