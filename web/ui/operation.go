package ui

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"steward/lwm2m"
	"steward/web"
)

// operateTimeout is how long a form waits for a device. Browsers give up later.
const operateTimeout = 30 * time.Second

// operate runs the operation that a form on the device's page asks for.
func (u *UI) operate(w http.ResponseWriter, r *http.Request) error {
	id := web.Param(r, "id")
	page := "/devices/" + url.PathEscape(id)
	op, err := u.formOperation(r)
	if err != nil {
		return u.done(w, r, err, "", "", page)
	}
	ctx, cancel := context.WithTimeout(r.Context(), operateTimeout)
	defer cancel()
	outcome, err := u.s.Operations.Do(ctx, web.ActorFrom(r.Context()), id, op)
	page += "#" + anchor(op.Path)
	if err == nil && outcome.Pending != nil {
		return u.done(w, r, nil, page, pending(op, *outcome.Pending), page)
	}
	return u.done(w, r, err, page, sentence(op, outcome), page)
}

// anchor names the place of a node on the device's page.
func anchor(p lwm2m.Path) string {
	if p.Len() > 3 {
		p = p.Prefix(3)
	}
	return "p" + p.String()
}

func (u *UI) formOperation(r *http.Request) (web.Operation, error) {
	path, err := lwm2m.ParseNode(r.PostFormValue("path"))
	if err != nil {
		return web.Operation{}, web.Invalid("path", err.Error())
	}
	op := web.Operation{Kind: web.OperationKind(r.PostFormValue("op")), Path: path}
	switch op.Kind {
	case web.OpRead, web.OpDiscover, web.OpCancelObserve, web.OpDelete, web.OpCreate:
	case web.OpObserve, web.OpWriteAttributes:
		op.Attributes = strings.Fields(r.PostFormValue("attributes"))
	case web.OpExecute:
		op.Arguments = r.PostFormValue("arguments")
	case web.OpWrite:
		if path.Len() < 3 {
			return web.Operation{}, web.Invalid("path", "a form writes one resource")
		}
		v, err := web.ParseInput(lwm2m.KindOf(u.o.Registry, path), r.PostFormValue("value"))
		if err != nil {
			return web.Operation{}, err
		}
		op.Entries = []lwm2m.Entry{{Path: path, Value: v}}
	default:
		return web.Operation{}, web.Invalid("op", "no such operation")
	}
	return op, nil
}

// pending says of an operation that it waits.
func pending(op web.Operation, o web.DeviceOperation) string {
	text := "Waits for the device: " + string(op.Kind) + " " + op.Path.String() + ". It will be sent at the next wake"
	if !o.WakesAt.IsZero() {
		text += ", about " + o.WakesAt.UTC().Format("2006-01-02 15:04 UTC")
	}
	return text + "; see the queue."
}

// sentence says what the device answered.
func sentence(op web.Operation, o web.Outcome) string {
	at := op.Path.String()
	switch op.Kind {
	case web.OpRead:
		if len(o.Values) == 1 {
			return "Read " + at + ": " + o.Values[0].Value.String()
		}
		return "Read " + at + ": " + plural(len(o.Values), "value")
	case web.OpWrite, web.OpUpdate:
		return "Wrote " + at + "."
	case web.OpExecute:
		return "Executed " + at + "."
	case web.OpObserve:
		return "Observing " + at + "; this stays so over registrations."
	case web.OpCancelObserve:
		return "No longer observing " + at + "."
	case web.OpWriteAttributes:
		return "Wrote attributes of " + at + "."
	case web.OpDiscover:
		return "Discovered " + at + ": " + o.Links
	case web.OpCreate:
		return "Created " + o.Path + "."
	case web.OpReadComposite, web.OpWriteComposite, web.OpObserveComposite, web.OpCancelComposite:
		return "Done." // no form asks for them
	case web.OpDelete:
		return "Deleted " + at + "."
	}
	return "Done."
}
