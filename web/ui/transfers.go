package ui

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"steward/web"
)

// A transfersPage lists hand-overs in both directions.
type transfersPage struct {
	Filter    web.TransferFilter
	Transfers []web.Transfer
	Partners  int    // how many are pinned, up to a page
	Next      string // address of the next part; "" on the last
}

func (u *UI) transfers(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	p, err := web.ParsePage(q)
	if err != nil {
		return err
	}
	f := web.TransferFilter{
		Direction: web.Direction(q.Get("direction")), Partner: q.Get("partner"), Open: q.Get("open") != "",
	}
	list, err := u.s.Transfers.ListTransfers(r.Context(), f, p)
	if err != nil {
		return err
	}
	partners, err := u.s.Partners.ListPartners(r.Context(), web.Page{Size: 1})
	if err != nil {
		return err
	}
	page := transfersPage{f, list.Items, len(partners.Items), web.NextURL(r.URL, list.Next)}
	return u.show(w, r, http.StatusOK, "transfers", "transfers", "Transfers", page)
}

// A transferPage is what one must see to approve a hand-over, and to follow it.
type transferPage struct {
	web.TransferDetail

	Rows     []web.TransferRow
	Next     string // address of the next part of the rows; "" on the last
	Steps    []step
	Activity []web.AuditRow // the newest first
}

// PartnerApproved reports whether the other side is known to have approved: its
// signed word is here.
func (p transferPage) PartnerApproved() bool {
	if p.Direction == web.Outgoing {
		return p.Destination != nil
	}
	at := slices.IndexFunc(p.Steps, func(s step) bool { return s.Name == "approved" })
	return at >= 0 && (p.Steps[at].Reached || p.Steps[at].Current)
}

// May reports whether the transfer's state allows the action now.
func (p transferPage) May(action web.TransferAction) bool { return slices.Contains(p.Actions, action) }

// A step is one state on the way of a transfer.
type step struct {
	Name    string
	Reached bool
	Current bool
}

// transferSteps is the straight way through the batch's table (transfer protocol §8).
var transferSteps = []string{
	"draft", "info sent", "info accepted", "offered", "approved", "staging", "armed", "switching", "complete",
}

// steps marks how far state is; a state off the straight way marks none.
func steps(state string) []step {
	at := slices.Index(transferSteps, words(state))
	out := make([]step, 0, len(transferSteps))
	for i, name := range transferSteps {
		done := i == at && i == len(transferSteps)-1
		out = append(out, step{Name: name, Reached: i < at || done, Current: i == at && !done})
	}
	return out
}

func (u *UI) transfer(w http.ResponseWriter, r *http.Request) error {
	p, err := web.ParsePage(r.URL.Query())
	if err != nil {
		return err
	}
	t, err := u.s.Transfers.Transfer(r.Context(), web.Param(r, "id"))
	if err != nil {
		return err
	}
	rows, err := u.s.Transfers.Rows(r.Context(), t.ID, p)
	if err != nil {
		return err
	}
	recent, err := u.s.Activity.ListAudit(r.Context(), web.AuditFilter{Subject: t.ID}, web.Page{Size: recentRows})
	if err != nil {
		return err
	}
	return u.show(w, r, http.StatusOK, "transfer", "transfers", "Transfer "+short(t.ID), transferPage{
		t, rows.Items, web.NextURL(r.URL, rows.Next), steps(t.State), recent.Items,
	})
}

// commandTransfer gives a transfer an event. Approving asks for the number of
// devices to be typed, so that nobody approves a thousand for five.
func (u *UI) commandTransfer(w http.ResponseWriter, r *http.Request) error {
	id := web.Param(r, "id")
	page := "/transfers/" + url.PathEscape(id)
	actor := web.ActorFrom(r.Context())
	c := web.TransferCommand{Action: web.TransferAction(r.PostFormValue("action")), Reason: r.PostFormValue("reason")}
	if !slices.Contains(web.TransferActions(), c.Action) {
		return web.Invalid("action", "no such action")
	}
	if need := c.Action.RoleFor(); !actor.Role.Includes(need) {
		return &web.Error{Is: web.ErrForbidden, Detail: "this needs the role " + string(need)}
	}
	if c.Action == web.TransferApprove {
		t, err := u.s.Transfers.Transfer(r.Context(), id)
		if err != nil {
			return err
		}
		if r.PostFormValue("gates") != "" { // the form of the incoming side
			attest, first := r.PostFormValue("attest") != "", r.PostFormValue("update_first") != ""
			release := strings.TrimSpace(r.PostFormValue("update_release"))
			c.Attest, c.UpdateFirst, c.UpdateRelease = &attest, &first, &release
		}
		if strings.TrimSpace(r.PostFormValue("confirm")) != strconv.Itoa(t.Total) {
			err := web.Invalid("confirm", "type the number of devices: "+strconv.Itoa(t.Total))
			return u.done(w, r, err, "", "", page)
		}
	}
	if c.Action == web.TransferExtend {
		var err error
		if c.Latest, err = parseInputTime("latest", r.PostFormValue("latest")); err != nil {
			return u.done(w, r, err, "", "", page)
		}
	}
	t, err := u.s.Transfers.Command(r.Context(), actor, id, c)
	if err == nil {
		page = "/transfers/" + url.PathEscape(t.ID) // again: it is another
	}
	return u.done(w, r, err, page, "The transfer is now "+words(t.State)+".", page)
}

// A receiptsPage is a device's word about one transfer.
type receiptsPage struct {
	Transfer string
	Device   string
	Receipts []receiptView
}

// A receiptView is a receipt with its signed bytes as text.
type receiptView struct {
	web.Receipt

	Base64 string
	Facts  []fact
}

// A fact is one member of a JSON object.
type fact struct{ Name, Value string }

// factsOf returns the members of a JSON object in their order, none of anything else.
func factsOf(raw json.RawMessage) (out []fact) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil
		}
		var value any
		if err := d.Decode(&value); err != nil {
			return nil
		}
		out = append(out, fact{fmt.Sprint(name), fmt.Sprint(value)})
	}
	return out
}

func (u *UI) receipts(w http.ResponseWriter, r *http.Request) error {
	id, device := web.Param(r, "id"), web.Param(r, "device")
	list, err := u.s.Transfers.Receipts(r.Context(), id, device)
	if err != nil {
		return err
	}
	page := receiptsPage{Transfer: id, Device: device}
	for _, receipt := range list {
		page.Receipts = append(page.Receipts, receiptView{
			receipt, base64.StdEncoding.EncodeToString(receipt.COSE), factsOf(receipt.Content),
		})
	}
	return u.show(w, r, http.StatusOK, "receipts", "transfers", "Receipts", page)
}

// transferRecord is the file for an auditor.
func (u *UI) transferRecord(w http.ResponseWriter, r *http.Request) error {
	raw, err := u.s.Records.TransferRecord(r.Context(), web.Param(r, "id"))
	if err != nil {
		return err
	}
	return web.WriteFile(w, "application/cbor-seq", "transfer.record", raw)
}
