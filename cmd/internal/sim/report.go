package sim

import (
	"context"
	"log/slog"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/client"
	"steward/objects"
	"steward/suit"
)

// reportKey is the report that no server has acknowledged yet.
const reportKey = firmwarePrefix + "report"

// mediaReport is what resource Data Format of object BinaryAppDataContainer says of
// a SUIT_Report.
const mediaReport = "application/suit-report+cose"

var reportBase = lwm2m.NewPath(objects.AppDataID, 0)

// newReports returns object BinaryAppDataContainer, by which reports are sent.
func newReports(l *life) *client.Table {
	return client.NewTable(client.TableOptions{
		ID: objects.AppDataID, Schema: l.d.schema, Values: reportEntries(l.nv.Get(reportKey)),
		OnWrite: func(context.Context, client.Session, lwm2m.Path, []lwm2m.Entry) error {
			return client.ErrMethodNotAllowed
		},
	})
}

func reportEntries(raw []byte) []lwm2m.Entry {
	return objects.AppData{
		Data: map[uint16][]byte{0: raw}, Description: "SUIT_Report", Format: mediaReport,
	}.Entries(reportBase)
}

// newMetadata returns object Device Metadata: what manifests call the device.
func newMetadata(l *life) *client.Table {
	hardware := l.d.b.Hardware
	return client.NewTable(client.TableOptions{
		ID: objects.MetadataID, Schema: l.d.schema, Values: objects.Metadata{
			Protocol: suit.ManifestVersion, Bootloader: []byte{}, OEM: []byte{}, Vendor: hardware.Vendor,
			Class: hardware.Class, Device: hardware.Serial,
		}.Entries(lwm2m.NewPath(objects.MetadataID, 0)),
	})
}

// reportLater adds a report to changes of the memory; nil is none.
func (f *firmware) reportLater(changes map[string][]byte, r *suit.Report) {
	if r == nil {
		return
	}
	raw := r.Encode()
	changes[reportKey] = raw
	f.l.reports.Replace(reportBase, reportEntries(raw)...)
	f.l.mu.Lock()
	f.l.reporting = false
	f.l.mu.Unlock()
	f.l.poke()
}

// reportSoon sends what is to be reported, in the background, until the server has
// it.
func (l *life) reportSoon(ctx context.Context) {
	m := l.links.management()
	raw := l.nv.Get(reportKey)
	if m == nil || raw == nil {
		return
	}
	l.mu.Lock()
	busy := l.reporting
	l.reporting = true
	l.mu.Unlock()
	if busy {
		return
	}
	l.work.Go(func() {
		ctx, cancel := context.WithTimeout(ctx, sendTime)
		defer cancel()
		err := l.cl.Send(ctx, m.conn, reportBase)
		l.mu.Lock()
		l.reporting = false
		l.mu.Unlock()
		if err != nil {
			l.o.Log.LogAttrs(ctx, slog.LevelInfo, "report not sent", slog.String("endpoint", l.d.b.Endpoint),
				slog.Any("reason", err))
			return
		}
		if string(l.nv.Get(reportKey)) == string(raw) { // else there is a newer one
			_ = l.put(map[string][]byte{reportKey: nil}) // the error is the memory's, and is kept
		}
		l.d.event(Event{Kind: Reported})
	})
}

// sendTime is how long a report may take to be acknowledged.
const sendTime = time.Minute
