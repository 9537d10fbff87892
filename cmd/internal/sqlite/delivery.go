package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"time"

	"steward/lwm2m/audit"
	"steward/lwm2m/fleet"
	"steward/suit"
	"steward/suit/rollout"
)

// insertParts stores the parts of a release in chunks.
func (tx *Tx) insertParts(release string, c rollout.Content) error {
	for _, part := range []struct {
		name rollout.Part
		data []byte
	}{
		{rollout.PartPush, c.Push},
		{rollout.PartPull, c.Pull},
		{rollout.PartImage, c.Image},
		{rollout.PartText, c.Text},
		{rollout.PartCipher, c.Cipher},
		{rollout.PartKey, c.Key},
	} {
		for n := 0; n*rollout.ChunkSize < len(part.data); n++ {
			piece := part.data[n*rollout.ChunkSize : min((n+1)*rollout.ChunkSize, len(part.data))]
			if _, err := tx.Exec("chunk.insert", release, string(part.name), n, piece); err != nil {
				return err
			}
		}
	}
	_, err := tx.Exec("release.insert_content", release, marker(c.Push), marker(c.Pull), marker(c.Image))
	return err
}

// marker stands for a part that is stored in chunks.
func marker(part []byte) []byte {
	if part == nil {
		return nil
	}
	return []byte{1}
}

// Length implements rollout.Contents.
func (s Rollout) Length(ctx context.Context, release string, p rollout.Part) (n int, err error) {
	err = s.db.QueryRow(ctx, "chunk.length", release, string(p)).Scan(&n)
	if err == nil && n == 0 {
		err = rollout.ErrUnknown
	}
	return n, err
}

// Chunk implements rollout.Contents.
func (s Rollout) Chunk(ctx context.Context, release string, p rollout.Part, n int) (data []byte, err error) {
	err = s.db.QueryRow(ctx, "chunk.get", release, string(p), n).Scan(&data)
	if errors.Is(err, sql.ErrNoRows) {
		err = rollout.ErrUnknown
	}
	return data, err
}

// whole puts a part together; nil if marker is.
func (s Rollout) whole(ctx context.Context, release string, p rollout.Part, marker []byte) ([]byte, error) {
	if marker == nil {
		return nil, nil
	}
	rows, err := s.db.Query(ctx, "chunk.all", release, string(p))
	if err != nil {
		return nil, err
	}
	all := []byte{}
	pieces, err := collect(rows, func(r *sql.Rows) (data []byte, err error) {
		err = r.Scan(&data)
		return data, err
	})
	for _, piece := range pieces {
		all = append(all, piece...)
	}
	return all, err
}

// maxReports is the number of reports kept of one device.
const maxReports = 16

// AddReport implements rollout.ReportStore.
func (s Rollout) AddReport(ctx context.Context, r rollout.DeviceReport) error {
	return s.db.Update(ctx, func(tx *Tx) error {
		if _, err := tx.Exec("suit_report.put", string(r.Device), r.Digest.Encode(), r.Release, r.Succeeded, r.Reason,
			r.Raw, r.At.UnixMicro()); err != nil {
			return err
		}
		_, err := tx.Exec("suit_report.trim", string(r.Device), string(r.Device), maxReports-1)
		return err
	})
}

// ReportOf implements rollout.ReportStore.
func (s Rollout) ReportOf(ctx context.Context, device fleet.ID, manifest suit.Digest) (rollout.DeviceReport, error) {
	r, err := scanDeviceReport(s.db.QueryRow(ctx, "suit_report.of_manifest", string(device), manifest.Encode()))
	r.Device = device
	return r, err
}

// ReportsOf implements rollout.ReportStore.
func (s Rollout) ReportsOf(ctx context.Context, device fleet.ID, limit int) ([]rollout.DeviceReport, error) {
	rows, err := s.db.Query(ctx, "suit_report.of_device", string(device), limit)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(row *sql.Rows) (rollout.DeviceReport, error) {
		r, err := scanDeviceReport(row)
		r.Device = device
		return r, err
	})
}

func scanDeviceReport(row interface{ Scan(dest ...any) error }) (r rollout.DeviceReport, err error) {
	var digest []byte
	var at int64
	err = row.Scan(&digest, &r.Release, &r.Succeeded, &r.Reason, &r.Raw, &at)
	if errors.Is(err, sql.ErrNoRows) {
		return r, rollout.ErrUnknown
	}
	if err != nil {
		return r, err
	}
	r.At = fromMicro(at)
	r.Digest, err = suit.ParseDigest(digest)
	return r, err
}

// AddInstalled notes manifests that a device runs and that no update of ours
// installed, with an audit row naming actor.
func (s Rollout) AddInstalled(ctx context.Context, device fleet.ID, all []rollout.Installed, actor string) error {
	at := time.Now().UnixMicro() // the same of all: together they are in force (InForce)
	return s.db.Update(ctx, func(tx *Tx) error {
		for _, i := range all {
			sequence := int64(min(i.Sequence, math.MaxInt64))
			if _, err := tx.Exec("installed_manifest.put", string(device), int64(i.Digest.Algorithm), i.Digest.Value,
				sequence, "", "transfer", at); err != nil {
				return err
			}
			if err := tx.Audit(audit.Row{
				Actor: actor, Action: "device.manifest", Subject: string(device),
				Reason: "the device came with a manifest in force",
				After:  fmt.Sprintf("%s, sequence number %d", i.Digest, i.Sequence),
			}); err != nil {
				return err
			}
		}
		return nil
	})
}

// InForce returns the manifests that a device names in its receipts: what came with the
// newest, or what our own update has put in their place. Sequence numbers on a device
// only rise, and Installed has those of before, too.
func (s Rollout) InForce(ctx context.Context, device fleet.ID) ([]rollout.Installed, error) {
	newest, err := s.noted(ctx, "installed_manifest.newest", device)
	if err != nil {
		return nil, err
	}
	own, err := s.lastDone(ctx, device)
	if err == nil && len(own) > 0 && (len(newest) == 0 || own[0].Sequence > newest[0].Sequence) {
		newest = own
	}
	return newest, err
}

// noted returns manifests that AddInstalled noted, the newest first.
func (s Rollout) noted(ctx context.Context, query string, device fleet.ID) ([]rollout.Installed, error) {
	rows, err := s.db.Query(ctx, query, string(device))
	if err != nil {
		return nil, err
	}
	return collect(rows, func(r *sql.Rows) (i rollout.Installed, err error) {
		var algorithm, sequence int64
		err = r.Scan(&algorithm, &i.Digest.Value, &sequence)
		i.Digest.Algorithm, i.Sequence = suit.DigestAlgorithm(algorithm), uint64(max(sequence, 0))
		return i, err
	})
}
