package leshan

import (
	"encoding/json"

	"steward/lwm2m"
	"steward/web"
)

// An Event is one of EventServlet's: a name, and what JSON comes with it.
type Event struct {
	Name string
	Data any
}

// The data of EventServlet's events.
type (
	// updated is that of UPDATED.
	updated struct {
		Registration Registration `json:"registration"`
		Update       update       `json:"update"`
	}
	// An update is one as JacksonRegistrationUpdateSerializer writes it. What of it
	// was new is not known here: the address and the lifetime are those of now.
	update struct {
		ID         string            `json:"registrationId"`
		Address    string            `json:"address"`
		Lifetime   int64             `json:"lifetime"`
		Secure     bool              `json:"secure"`
		Additional map[string]string `json:"additionalAttributes"`
	}
	// presence is that of AWAKE.
	presence struct {
		Endpoint string `json:"ep"`
	}
	notification struct {
		Endpoint string `json:"ep"`
		Kind     string `json:"kind"`
		Resource string `json:"res"`
		Value    Node   `json:"val"`
	}
	sending struct {
		Endpoint string          `json:"ep"`
		Values   map[string]Node `json:"val"`
	}
)

// Events returns what Leshan would tell of e, which happened to d: nothing, or events
// in their order.
func Events(e web.Event, d web.DeviceDetail) []Event {
	switch e.Type {
	case web.EventDevice:
		return changes(e, d)
	case web.EventValue:
		var v web.ValueEvent
		if json.Unmarshal(e.Data, &v) != nil {
			return nil
		}
		return values(v, d.Endpoint)
	default:
		return nil
	}
}

// changes tells of registrations.
func changes(e web.Event, d web.DeviceDetail) []Event {
	var happened struct {
		Kind string `json:"kind"`
	}
	if json.Unmarshal(e.Data, &happened) != nil {
		return nil
	}
	r := NewRegistration(d)
	var out []Event
	switch happened.Kind {
	case "registered":
		out = []Event{{"REGISTRATION", r}}
	case "updated":
		out = []Event{{"UPDATED", updated{r, update{r.ID, r.Address, r.Lifetime, r.Secure, r.Additional}}}}
	case "deregistered", "expired":
		return []Event{{"DEREGISTRATION", r}}
	}
	if len(out) > 0 && r.Queue {
		out = append(out, Event{"AWAKE", presence{d.Endpoint}})
	}
	return out
}

// values tells of one value of a notification or a Send.
func values(v web.ValueEvent, endpoint string) []Event {
	p, err := lwm2m.ParsePath(v.Path)
	if err != nil {
		return nil // of a device behind a gateway, which Leshan does not know
	}
	node := NewNode(p, []web.Value{{Path: p, Value: valueOf(v)}}, nil)
	if node == nil {
		return nil
	}
	if v.Sent {
		return []Event{{"SEND", sending{endpoint, map[string]Node{v.Path: node}}}}
	}
	return []Event{{"NOTIFICATION", notification{endpoint, "single", v.Path, node}}}
}

// valueOf reads what the event says for people as a value again.
func valueOf(v web.ValueEvent) lwm2m.Value {
	for kind := range types {
		if kind.String() != v.Kind || kind == lwm2m.KindNone {
			continue
		}
		text := v.Text
		if kind == lwm2m.KindOpaque {
			text = "0x" + text
		}
		if value, err := web.ParseInput(kind, text); err == nil {
			return value
		}
	}
	return lwm2m.String(v.Text)
}
