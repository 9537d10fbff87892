package web

import (
	"context"
	"encoding/json"
	"time"

	"steward/lwm2m/audit"
)

// Services is all that the dashboard and the REST API show and command: the
// composition root adapts each domain package once, for both. A nil one answers
// ErrNotBuilt.
//
// All services are safe for concurrent use. They return ErrNotFound for an id
// that names nothing, ErrInvalid for input that can never be right, ErrConflict
// for what the present state does not allow, and have no effect when they
// return an error. Lists are ordered, and their cursors are opaque here.
type Services struct {
	Overview        Overviews
	Activity        Activity
	Devices         Devices
	Groups          Groups
	Bulks           Bulks
	Views           Views
	Operations      Operations
	Observations    Observations
	Factories       Factories
	Bootstraps      Bootstraps
	Series          Series
	Definitions     Definitions
	Traces          Traces
	Certificates    Certificates
	Passwords       OneTimePasswords
	Upstream        UpstreamRequests
	Requests        CertificateRequests
	Publication     Publications
	Enrolments      Enrolments
	Attestations    Attestations
	Rounds          AttestationRounds
	Releases        Releases
	Bills           Bills
	Campaigns       Campaigns
	Transfers       Transfers
	Records         TransferRecords
	Mandates        Mandates
	Partners        Partners
	Settings        Settings
	Upkeep          Upkeep
	Vulnerabilities Vulnerabilities
	Webhooks        Webhooks
}

// Complete returns s with a service that answers ErrNotBuilt in each empty place.
func (s Services) Complete() Services {
	var none missing
	fill(&s.Overview, Overviews(none))
	fill(&s.Activity, Activity(none))
	fill(&s.Devices, Devices(none))
	fill(&s.Groups, Groups(none))
	fill(&s.Bulks, Bulks(none))
	fill(&s.Views, Views(none))
	fill(&s.Operations, Operations(none))
	fill(&s.Observations, Observations(none))
	fill(&s.Factories, Factories(none))
	fill(&s.Bootstraps, Bootstraps(none))
	fill(&s.Series, Series(none))
	fill(&s.Definitions, Definitions(none))
	fill(&s.Traces, Traces(none))
	fill(&s.Certificates, Certificates(none))
	fill(&s.Passwords, OneTimePasswords(none))
	fill(&s.Upstream, UpstreamRequests(none))
	fill(&s.Requests, CertificateRequests(none))
	fill(&s.Publication, Publications(none))
	fill(&s.Enrolments, Enrolments(none))
	fill(&s.Attestations, Attestations(none))
	fill(&s.Rounds, AttestationRounds(none))
	fill(&s.Releases, Releases(none))
	fill(&s.Bills, Bills(none))
	fill(&s.Vulnerabilities, Vulnerabilities(none))
	fill(&s.Webhooks, Webhooks(none))
	fill(&s.Campaigns, Campaigns(none))
	fill(&s.Transfers, Transfers(none))
	fill(&s.Records, TransferRecords(none))
	fill(&s.Mandates, Mandates(none))
	fill(&s.Partners, Partners(none))
	fill(&s.Settings, Settings(none))
	fill(&s.Upkeep, Upkeep(none))
	return s
}

func fill[T comparable](place *T, none T) {
	var empty T
	if *place == empty {
		*place = none
	}
}

// Overviews counts for the first page.
type Overviews interface {
	// Overview returns the counts as of now.
	Overview(ctx context.Context, now time.Time) (Overview, error)
}

// An Overview is the state of the whole provider in numbers. Each number stands
// for the list that its page shows when the number is clicked.
type Overview struct {
	Provider        string         `json:"provider"` // this provider's name
	Devices         int            `json:"devices"`
	Online          int            `json:"online"`           // registered, lifetime not over
	Offline         int            `json:"offline"`          // ours, but not registered
	Expected        int            `json:"expected"`         // announced, never seen
	Left            int            `json:"left"`             // handed over
	Certificates    int            `json:"certificates"`     // live
	ExpiringSoon    int            `json:"expiring_soon"`    // live, end within 30 days
	RenewalsFailed  int            `json:"renewals_failed"`  // certificates still live
	RenewalsMissed  int            `json:"renewals_missed"`  // ended without renewal
	AttestationBad  int            `json:"attestation_bad"`  // devices whose evidence speaks against them
	AttestationMute int            `json:"attestation_mute"` // devices without evidence, asked again and again
	CampaignsActive int            `json:"campaigns_active"`
	TransfersActive int            `json:"transfers_active"`
	AwaitApproval   int            `json:"await_approval"` // transfers that wait for a person
	Notices         Array[Notice]  `json:"notices"`        // what an operator should know, worst first
	Counters        map[string]int `json:"counters,omitempty"`
	Rates           *Pace          `json:"rates,omitempty"` // nil: not known to who asks, or not yet
}

// PaceOver is how long what Pace counts is remembered.
const PaceOver = 5 * time.Minute

// Pace is how much happened lately.
type Pace struct {
	RegistrationsPerMinute float64 `json:"registrations_per_minute"` // of the last minute
	HandshakesPerSecond    float64 `json:"handshakes_per_second"`    // completed, of the last minute
	HandshakesFailed       int64   `json:"handshakes_failed"`        // of the last Seconds
	Seconds                int     `json:"seconds"`                  // PaceOver; less after a start
}

// A Notice is one sentence that asks for attention.
type Notice struct {
	Level Level  `json:"level"`
	Text  string `json:"text"`
	Link  string `json:"link,omitempty"` // path in the dashboard; "" leads nowhere
}

// A Level says how a state is to be taken. It is shown as a shape and a word,
// never by colour alone.
type Level string

// The levels.
const (
	LevelNeutral Level = "neutral" // nothing happens
	LevelActive  Level = "active"  // under way
	LevelGood    Level = "good"
	LevelWarning Level = "warning"
	LevelBad     Level = "bad"
)

// Activity reads the audit rows.
type Activity interface {
	// ListAudit returns the rows that match, the newest first.
	ListAudit(ctx context.Context, f AuditFilter, p Page) (List[AuditRow], error)
	// AuditChain returns the next rows after the one with the id after, with all that
	// the chain is made of; none at its end.
	AuditChain(ctx context.Context, after int64) ([]audit.Record, error)
}

// An AuditFilter selects audit rows. Its zero value selects all.
type AuditFilter struct {
	Subject string // id of the thing; "" for all
	Actor   string // as written in the row; "" for all
	Action  string // prefix such as "certificate."; "" for all
}

// An AuditRow is a row of the audit chain as people see it.
type AuditRow struct {
	ID      int64     `json:"id"`
	At      time.Time `json:"at"`
	Actor   string    `json:"actor"`
	Action  string    `json:"action"`
	Subject string    `json:"subject"`
	Reason  string    `json:"reason,omitempty"`
	Before  string    `json:"before,omitempty"`
	After   string    `json:"after,omitempty"`
	Hash    string    `json:"hash"` // hex
}

// An AuditGap says, in place of rows, that many were written at once: those between two
// ids are in the list of rows.
type AuditGap struct {
	After  int64 `json:"after"`
	Before int64 `json:"before"`
}

// An Event is something that just happened, for those who watch.
type Event struct {
	Type    string // "device.value", "device.registered", "campaign.job", "transfer.row", …
	Subject string // id of the device, campaign or transfer
	Data    json.RawMessage
}

// Types of events. The subject is the id of the device, campaign or transfer.
const (
	EventValue     = "device.value"     // data: ValueEvent
	EventDevice    = "device.state"     // registered, updated, gone
	EventOperation = "device.operation" // what was asked of a device moved
	EventCampaign  = "campaign"         // a job or the campaign itself moved
	EventTransfer  = "transfer"         // a row or the transfer itself moved
	EventBulk      = "bulk"             // something done to many devices went on
	EventAudit     = "audit"            // a row was written; the subject is the row's, data: AuditRow or AuditGap
)

// A ValueEvent is one value that a device reported.
type ValueEvent struct {
	Path string    `json:"path"`
	Text string    `json:"text"`           // for people
	Kind string    `json:"kind,omitempty"` // type of the value; "" in events of older versions
	Sent bool      `json:"sent,omitempty"` // the device sent it of itself (Core §6.4.6), else it was observed
	At   time.Time `json:"at"`
}
