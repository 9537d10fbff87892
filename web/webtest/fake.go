// Package webtest holds a fake of all services that the dashboard and the REST
// API show, for their tests.
package webtest

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"sync"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/audit"
	"steward/web"
)

// Noon is the time at which all that a Fake tells of happened.
var Noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// ID is the id of everything that a Fake has one of; another is not found.
const ID = "01JTESTTESTTESTTESTTESTTES"

// A Fake answers all services with one thing each, whose every text is Text. It
// is safe for concurrent use once made.
type Fake struct {
	Text  string // in every field that outsiders fill
	Empty bool   // lists are empty
	Err   error  // returned by each command, after it was noted

	mu    sync.Mutex // guards calls
	calls []Call
}

// A Call is a command that reached a service.
type Call struct {
	Service string
	By      web.Actor
	ID      string
	Arg     any
}

// Services returns f in every place.
func (f *Fake) Services() web.Services {
	return web.Services{
		Overview: f, Activity: f, Devices: f, Groups: f, Bulks: f, Views: f, Operations: f, Observations: f, Factories: f,
		Bootstraps: f, Series: f, Traces: f, Definitions: f, Certificates: f, Passwords: f, Upstream: f, Requests: f,
		Enrolments: f, Attestations: f, Rounds: f, Publication: f,
		Releases: f, Bills: f, Vulnerabilities: f,
		Campaigns: f, Transfers: f, Records: f, Mandates: f, Partners: f, Settings: f, Webhooks: f, Upkeep: f,
	}
}

// Calls returns the commands so far.
func (f *Fake) Calls() []Call {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]Call(nil), f.calls...)
}

func (f *Fake) note(service string, by web.Actor, id string, arg any) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, Call{service, by, id, arg})
	if f.Err != nil {
		return f.Err
	}
	return f.known(id)
}

func (f *Fake) known(id string) error {
	if id != "" && id != ID && id != "ep:"+ID {
		return web.NotFound("thing", id)
	}
	return nil
}

// listSize is the number of items in each list of a Fake.
const listSize = 5

// list pages over listSize copies of item; cursors are indexes.
func list[T any](f *Fake, p web.Page, item T) (web.List[T], error) {
	out := web.List[T]{Items: []T{}}
	if f.Empty {
		return out, nil
	}
	from := 0
	if p.After != "" {
		n, err := strconv.Atoi(p.After)
		if err != nil || n < 0 || n > listSize {
			return out, web.Invalid("page_token", "not one of ours")
		}
		from = n
	}
	for i := from; i < listSize && len(out.Items) < p.Size; i++ {
		out.Items = append(out.Items, item)
	}
	if end := from + len(out.Items); end < listSize {
		out.Next = strconv.Itoa(end)
	}
	return out, nil
}

// Overview implements web.Overviews.
func (f *Fake) Overview(context.Context, time.Time) (web.Overview, error) {
	if f.Empty {
		return web.Overview{Provider: f.Text}, nil
	}
	return web.Overview{
		Provider: f.Text, Devices: 5, Online: 3, Offline: 1, Expected: 1, Certificates: 7, AwaitApproval: 1,
		Notices: []web.Notice{{Level: web.LevelWarning, Text: f.Text, Link: "/transfers"}},
		Rates:   &web.Pace{RegistrationsPerMinute: 1200, HandshakesPerSecond: 0.4, HandshakesFailed: 3, Seconds: 300},
	}, nil
}

// AuditChain implements web.Activity.
func (f *Fake) AuditChain(_ context.Context, after int64) ([]audit.Record, error) {
	if f.Empty || after > 0 {
		return nil, nil
	}
	row := audit.Row{Actor: f.Text, Action: f.Text, Subject: ID, Reason: f.Text, At: Noon}
	return []audit.Record{{ID: 1, Row: row, Hash: audit.Hash([32]byte{}, row)}}, nil
}

// ListAudit implements web.Activity.
func (f *Fake) ListAudit(_ context.Context, _ web.AuditFilter, p web.Page) (web.List[web.AuditRow], error) {
	return list(f, p, web.AuditRow{
		ID: 1, At: Noon, Actor: f.Text, Action: f.Text, Subject: f.Text, Reason: f.Text,
		Before: f.Text, After: f.Text, Hash: "00ff",
	})
}

func (f *Fake) device() web.Device {
	return web.Device{
		ID: ID, Endpoint: f.Text, State: web.DeviceOnline, Factory: "ab12", Security: "operational",
		Version: f.Text, Firmware: f.Text, Manufacturer: f.Text, Model: f.Text, Tags: []string{f.Text},
		LastSeen: Noon, CreatedAt: Noon,
	}
}

// ListDevices implements web.Devices.
func (f *Fake) ListDevices(_ context.Context, _ web.DeviceFilter, p web.Page) (web.List[web.Device], error) {
	return list(f, p, f.device())
}

// Device implements web.Devices.
func (f *Fake) Device(_ context.Context, id string) (web.DeviceDetail, error) {
	d := web.DeviceDetail{Device: f.device()}
	if f.Empty {
		return d, f.known(id)
	}
	d.Registration = &web.Registration{
		Location: f.Text, Address: f.Text, Transport: f.Text, Lifetime: time.Hour, Seconds: 3600, Binding: f.Text,
		Since: Noon, ExpiresAt: Noon,
		Queue: true, Asleep: true, WakesAt: Noon,
	}
	d.Certificates, d.KeyOrigin = []web.Certificate{f.certificate()}, "device"
	d.Objects = []web.ObjectNode{
		{ID: 3, Name: "Device", Version: "1.1", Instances: []uint16{0}},
		{ID: 33000, Name: f.Text, Version: f.Text, Instances: []uint16{0, 1}},
	}
	d.Transfers = []string{ID}
	d.Custody = []web.CustodyHop{{
		Transfer: ID, From: f.Text, To: f.Text, State: "FINALISED", Level: web.LevelGood, Inferred: true, At: Noon,
	}}
	d.Replaces, d.ReplacedBy = []web.DeviceName{{ID: ID, Endpoint: f.Text}}, &web.DeviceName{ID: ID, Endpoint: f.Text}
	d.Erasure = &web.DeviceErasure{At: Noon, Level: web.ErasureKnown, Said: f.Text, Record: []byte{1}}
	end, _ := lwm2m.ParseNode("/d01/3303/0")
	d.Behind = []web.EndDevice{
		{ID: f.Text, Prefix: "d01", Objects: []lwm2m.Path{end}},
		{ID: "other", Prefix: f.Text, Problem: f.Text},
	}
	return d, f.known(id)
}

// Values implements web.Devices.
func (f *Fake) Values(_ context.Context, id string, _ lwm2m.Path) ([]web.Value, error) {
	if f.Empty {
		return nil, f.known(id)
	}
	return []web.Value{
		{Path: lwm2m.NewPath(3, 0, 0), Name: "Manufacturer", Value: lwm2m.String(f.Text), At: Noon},
		{Path: lwm2m.NewPath(3, 0, 9), Value: lwm2m.Integer(80), Units: f.Text, At: Noon, Observed: true},
		{Path: lwm2m.NewPath(33000, 0, 7, 1), Name: f.Text, Value: lwm2m.Opaque([]byte{1, 2}), At: Noon},
	}, f.known(id)
}

// Do implements web.Operations.
func (f *Fake) Do(_ context.Context, by web.Actor, id string, op web.Operation) (web.Outcome, error) {
	if err := f.note("Do", by, id, op); err != nil {
		return web.Outcome{}, err
	}
	if op.Async {
		o := f.operation()
		return web.Outcome{Pending: &o}, nil
	}
	return web.Outcome{
		Values: []web.Value{{Path: op.Path, Value: lwm2m.String(f.Text), At: Noon}}, Links: f.Text, Path: op.Path.String(),
	}, nil
}

func (f *Fake) operation() web.DeviceOperation {
	return web.DeviceOperation{
		ID: ID, Device: ID, Kind: web.OpRead, Path: f.Text, State: "queued", Level: web.LevelActive, Reason: f.Text,
		By: f.Text, Tries: 1, CreatedAt: Noon, SentAt: Noon, EndedAt: Noon, ExpiresAt: Noon, WakesAt: Noon,
		Exchanges: []web.CoAPExchange{{
			At: Noon, Seconds: 0.5, Method: "0.01", Path: f.Text, Query: f.Text, Request: []byte{1}, RequestBytes: 1,
			Code: "2.05", Answer: []byte(f.Text), AnswerBytes: 1, Error: f.Text,
		}},
		Failure: &web.OperationFailure{Code: "timeout", CoAP: "4.05", Detail: f.Text},
		Outcome: web.Outcome{Values: []web.Value{{Path: lwm2m.NewPath(3, 0, 9), Value: lwm2m.String(f.Text)}}, Links: f.Text},
	}
}

// ListOperations implements web.Operations.
func (f *Fake) ListOperations(_ context.Context, id string, p web.Page) (web.List[web.DeviceOperation], error) {
	if err := f.known(id); err != nil {
		return web.List[web.DeviceOperation]{}, err
	}
	return list(f, p, f.operation())
}

// DeviceOperation implements web.Operations.
func (f *Fake) DeviceOperation(_ context.Context, id, operation string) (web.DeviceOperation, error) {
	return f.operation(), errors.Join(f.known(id), f.known(operation))
}

// CancelOperation implements web.Operations.
func (f *Fake) CancelOperation(_ context.Context, by web.Actor, id, operation string) (web.DeviceOperation, error) {
	return f.operation(), f.note("CancelOperation", by, id, operation)
}

// FactoryAuthorities implements web.Factories.
func (f *Fake) FactoryAuthorities(context.Context) ([]web.FactoryAuthority, error) {
	if f.Empty {
		return nil, nil
	}
	return []web.FactoryAuthority{{ID: ID, Subject: f.Text, NotAfter: Noon, AddedAt: Noon}}, nil
}

// AddFactoryAuthority implements web.Factories.
func (f *Fake) AddFactoryAuthority(_ context.Context, by web.Actor, cert []byte) (web.FactoryAuthority, error) {
	return web.FactoryAuthority{ID: ID, Subject: f.Text}, f.note("AddFactoryAuthority", by, "", cert)
}

// ImportDevice implements web.Factories.
func (f *Fake) ImportDevice(_ context.Context, by web.Actor, d web.NewDevice) (web.Device, error) {
	return f.device(), f.note("ImportDevice", by, "", d)
}

// ImportDevices implements web.Factories.
func (f *Fake) ImportDevices(
	_ context.Context, by web.Actor, list []web.NewDevice,
) ([]web.ImportedDevice, error) {
	if f.Empty {
		return nil, nil
	}
	return []web.ImportedDevice{
		{Endpoint: f.Text, ID: ID, EnrollURI: f.Text}, {Error: f.Text},
	}, f.note("ImportDevices", by, "", list)
}

func (f *Fake) certificate() web.Certificate {
	return web.Certificate{
		ID: ID, Serial: f.Text, Subject: f.Text, Issuer: f.Text, Kind: f.Text, Profile: f.Text,
		Device: ID, State: web.CertificateLive,
		NotBefore: Noon, NotAfter: Noon.AddDate(1, 0, 0),
	}
}

func (f *Fake) certificateDetail() web.CertificateDetail {
	return web.CertificateDetail{
		Certificate: f.certificate(), SPKI: "ab", Key: f.Text, KeyUsage: []string{f.Text}, Names: []string{f.Text},
		PEM: f.Text, DERBytes: 316, C509Bytes: 141,
	}
}

// ListCertificates implements web.Certificates.
func (f *Fake) ListCertificates(
	_ context.Context, _ web.CertificateFilter, p web.Page,
) (web.List[web.Certificate], error) {
	return list(f, p, f.certificate())
}

// Certificate implements web.Certificates.
func (f *Fake) Certificate(_ context.Context, id string) (web.CertificateDetail, error) {
	return f.certificateDetail(), f.known(id)
}

// Revoke implements web.Certificates.
func (f *Fake) Revoke(_ context.Context, by web.Actor, id string, r web.Revocation) (web.Certificate, error) {
	return f.certificate(), f.note("Revoke", by, id, r)
}

// Inventory implements web.Certificates.
func (f *Fake) Inventory(context.Context) (web.Inventory, error) {
	out := web.Inventory{At: Noon, Days: make([]int, 90)} //nolint:mnd // as web.Inventory says
	if f.Empty {
		return out, nil
	}
	out.Kinds = []web.InventoryKind{{Kind: f.Text, Profile: f.Text, All: 9, Live: 5, Revoked: 3, Daily: 1, Monthly: 2}}
	out.Ending7, out.Ending30, out.Ending90, out.Days[3] = 1, 2, 4, 1
	out.Alerts = []web.CertificateAlert{{
		Level: web.LevelBad, Certificate: ID, Subject: f.Text, Kind: f.Text, NotAfter: Noon, Days: 3, Text: f.Text,
	}}
	return out, nil
}

// Authorities implements web.Certificates.
func (f *Fake) Authorities(context.Context) ([]web.CertificateDetail, error) {
	if f.Empty {
		return nil, nil
	}
	return []web.CertificateDetail{f.certificateDetail()}, nil
}

// ListPartners implements web.Partners.
func (f *Fake) ListPartners(_ context.Context, p web.Page) (web.List[web.Partner], error) {
	return list(f, p, f.partner())
}

func (f *Fake) partner() web.Partner {
	return web.Partner{
		ID: ID, Name: f.Text, Label: f.Text, Kind: "provider", State: web.PartnerActive, PeerURI: f.Text,
		TLS: "ab", Signing: "cd", AddedAt: Noon, AddedBy: f.Text,
		Limits: web.PartnerLimits{Devices: 1000, Daily: 5000, Open: 10, Calls: 600},
		Use: &web.PartnerUse{Daily: 7, Open: 2, Holding: 1, Devices: []web.PartnerDevice{{
			Device: ID, Endpoint: f.Text, Transfer: ID, State: "READY",
		}}},
	}
}

// Partner implements web.Partners.
func (f *Fake) Partner(_ context.Context, id string) (web.Partner, error) {
	return f.partner(), f.known(id)
}

// AddPartner implements web.Partners.
func (f *Fake) AddPartner(_ context.Context, by web.Actor, n web.NewPartner) (web.Partner, error) {
	return f.partner(), f.note("AddPartner", by, "", n)
}

// SetPartnerLimits implements web.Partners.
func (f *Fake) SetPartnerLimits(_ context.Context, by web.Actor, id string, l web.PartnerLimits) (web.Partner, error) {
	return f.partner(), f.note("SetPartnerLimits", by, id, l)
}

// SetPartnerState implements web.Partners.
func (f *Fake) SetPartnerState(
	_ context.Context, by web.Actor, id string, c web.PartnerChange,
) (web.Partner, error) {
	return f.partner(), f.note("SetPartnerState", by, id, c)
}

// Retention implements web.Settings.
func (f *Fake) Retention(context.Context) (web.Retention, error) {
	return web.Retention{Events: 7, Operations: 7, Trace: 1, Audit: 400, AuditArchive: f.Text, AuditFrom: 12}, nil
}

// DeviceSettings implements web.Settings.
func (f *Fake) DeviceSettings(context.Context) (json.RawMessage, error) {
	return json.RawMessage(`{}`), nil
}
