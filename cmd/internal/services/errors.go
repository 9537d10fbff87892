package services

import (
	"context"
	"errors"
	"strings"
	"unicode"

	"steward/est"
	"steward/est/enrol"
	"steward/lwm2m"
	"steward/lwm2m/audit"
	"steward/lwm2m/bootstrap"
	"steward/lwm2m/coap"
	"steward/lwm2m/codec"
	"steward/lwm2m/fleet"
	"steward/lwm2m/linkformat"
	"steward/lwm2m/machine"
	"steward/lwm2m/queue"
	"steward/lwm2m/server"
	"steward/suit/rollout"
	"steward/suit/sbom"
	"steward/transfer/coordinator"
	"steward/web"
)

// meanings maps the errors of the domain to those of web: the one such table.
// The first row that matches wins. An empty detail shows the error itself, which
// is written for people.
var meanings = []struct {
	err    error
	is     error
	detail string
}{
	{server.ErrAnswer, web.ErrDevice, "its answer cannot be read"}, // whatever is wrong with it
	{server.ErrUnsupported, web.ErrDevice, ""},
	{server.ErrNotObserved, web.ErrDevice, "it answered without observing"},

	{audit.ErrStorage, audit.ErrStorage, "the disk is full, read-only or failing; devices are served meanwhile"},

	{queue.ErrUnknown, web.ErrNotFound, ""},
	{queue.ErrConflict, web.ErrConflict, ""},
	{queue.ErrFull, web.ErrUnavailable, "too many operations wait already"},
	{queue.ErrSize, web.ErrTooLarge, ""},
	{fleet.ErrUnknown, web.ErrNotFound, ""},
	{rollout.ErrUnknown, web.ErrNotFound, ""},
	{rollout.ErrNoBill, web.ErrNotFound, ""},
	{fleet.ErrCredential, web.ErrInvalid, ""},
	{bootstrap.ErrProfileTag, web.ErrConflict, ""},
	{bootstrap.ErrProfile, web.ErrInvalid, ""},
	{est.ErrUnknown, web.ErrNotFound, ""},

	{enrol.ErrUnknown, web.ErrNotFound, ""},
	{enrol.ErrState, web.ErrConflict, ""},
	{enrol.ErrConflict, web.ErrConflict, ""},

	{fleet.ErrConflict, web.ErrConflict, ""},
	{rollout.ErrEnded, web.ErrConflict, ""},
	{rollout.ErrDecided, web.ErrConflict, ""},
	{rollout.ErrUnapproved, web.ErrConflict, ""},
	{rollout.ErrApprover, web.ErrForbidden, ""},
	{est.ErrConflict, web.ErrConflict, ""},
	{est.ErrEndpoint, web.ErrConflict, ""},
	{est.ErrRevoked, web.ErrConflict, ""},
	{machine.ErrNoRow, web.ErrConflict, ""},

	{coordinator.ErrUnknown, web.ErrNotFound, ""},
	{coordinator.ErrState, web.ErrConflict, ""},
	{coordinator.ErrConflict, web.ErrConflict, ""},
	{coordinator.ErrBusy, web.ErrConflict, ""},
	{coordinator.ErrPinned, web.ErrConflict, ""},
	{coordinator.ErrDeclined, web.ErrConflict, ""},
	{coordinator.ErrApprover, web.ErrForbidden, ""},
	{coordinator.ErrForbidden, web.ErrForbidden, ""},
	{coordinator.ErrInvalid, web.ErrInvalid, ""},
	{coordinator.ErrPartnerAway, web.ErrUnavailable, "the partner cannot be reached now"},
	{coordinator.ErrRefused, web.ErrDevice, ""},
	{coordinator.ErrUnreachable, web.ErrUnreachable, ""},

	{rollout.ErrRelease, web.ErrInvalid, ""},
	{sbom.ErrFormat, web.ErrInvalid, ""},
	{sbom.ErrSyntax, web.ErrInvalid, ""},
	{sbom.ErrLimit, web.ErrTooLarge, ""},
	{rollout.ErrCampaign, web.ErrInvalid, ""},
	{est.ErrFactory, web.ErrInvalid, ""},
	{est.ErrName, web.ErrInvalid, ""},
	{est.ErrReason, web.ErrInvalid, ""},
	{lwm2m.ErrValue, web.ErrInvalid, ""},
	{lwm2m.ErrArguments, web.ErrInvalid, ""},
	{lwm2m.ErrPath, web.ErrInvalid, ""},
	{lwm2m.ErrAttribute, web.ErrInvalid, ""},
	{lwm2m.ErrQuery, web.ErrInvalid, ""},
	{server.ErrTemplate, web.ErrInvalid, ""},
	{server.ErrNoTemplate, web.ErrNotFound, ""},

	{server.ErrNotRegistered, web.ErrUnreachable, "it is not registered"},
	{server.ErrUnreachable, web.ErrUnreachable, "it has not spoken since this server started"},
	{server.ErrEnded, web.ErrUnreachable, "its registration ended during the operation, which it may have done or not"},
	{coap.ErrClosed, web.ErrUnreachable, "its connection ended"},
	{coap.ErrReset, web.ErrUnreachable, "it rejected the message"},
	{coap.ErrTimeout, web.ErrTimeout, "the device did not answer"},
	{context.DeadlineExceeded, web.ErrTimeout, "it took longer than you wanted to wait"},
	{coap.ErrBusy, web.ErrUnavailable, "too many requests to this device at once"},
	{coap.ErrTooLarge, web.ErrTooLarge, ""},

	// What follows comes from the answer of a device, for requests are checked
	// before they are sent.
	{codec.ErrFormat, web.ErrDevice, "there is no content format that both sides know"},
	{codec.ErrSyntax, web.ErrDevice, "its answer cannot be read"},
	{codec.ErrBody, web.ErrDevice, "its answer is too long"},
	{linkformat.ErrSyntax, web.ErrDevice, "its list of links cannot be read"},
	{linkformat.ErrDuplicate, web.ErrDevice, "its list of links cannot be read"},
	{linkformat.ErrLimit, web.ErrDevice, "its list of links is too long"},
	{coap.ErrBlock, web.ErrDevice, "its block-wise answer is out of step"},
	{coap.ErrOption, web.ErrDevice, "its answer has a critical option that is not understood"},
}

// translate returns err in the vocabulary of web. What it does not know is
// ErrUnavailable with the cause for the log, never shown.
func translate(err error) error {
	if err == nil {
		return nil
	}
	if known := (*web.Error)(nil); errors.As(err, &known) {
		return known
	}
	if answer := (*server.ResponseError)(nil); errors.As(err, &answer) {
		return web.Refused(answer.Code.String(), printable(answer.Diagnostic))
	}
	if sleeps := (*server.AsleepError)(nil); errors.As(err, &sleeps) {
		return &web.Error{Is: web.ErrUnreachable, Detail: sleeps.Error()}
	}
	for _, m := range meanings {
		if !errors.Is(err, m.err) {
			continue
		}
		if m.detail == "" {
			return &web.Error{Is: m.is, Detail: printable(err.Error())}
		}
		return &web.Error{Is: m.is, Detail: m.detail, Cause: err}
	}
	return &web.Error{Is: web.ErrUnavailable, Cause: err}
}

// about returns err as translate does, an ErrInvalid as one about a field.
func about(field string, err error) error {
	err = translate(err)
	if known := (*web.Error)(nil); errors.As(err, &known) && errors.Is(known.Is, web.ErrInvalid) && known.Detail != "" {
		return web.Invalid(field, known.Detail)
	}
	return err
}

// maxShown bounds text from outside in an error, in characters.
const maxShown = 200

// printable returns the beginning of text from outside, without what a terminal
// or a page could take for more than text.
func printable(text string) string {
	var b strings.Builder
	n := 0
	for _, r := range text {
		if n++; n > maxShown {
			b.WriteRune('…')
			break
		}
		if !unicode.IsPrint(r) {
			r = unicode.ReplacementChar
		}
		b.WriteRune(r)
	}
	return b.String()
}

// notFound returns an ErrNotFound that names what was looked for.
func notFound(what, id string) error { return web.NotFound(what, printable(id)) }

// conflict returns an ErrConflict with its reason.
func conflict(detail string) error { return &web.Error{Is: web.ErrConflict, Detail: detail} }

// checkText refuses text that is too long or not printable.
func checkText(field, text string, most int) error {
	if len(text) > most {
		return web.Invalid(field, "too long")
	}
	for _, r := range text {
		if !unicode.IsPrint(r) {
			return web.Invalid(field, "has characters that cannot be printed")
		}
	}
	return nil
}
