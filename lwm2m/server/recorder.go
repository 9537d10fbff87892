package server

import (
	"context"
	"sync"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/fleet"
)

// A Report is one value that came from, or was accepted by, a device.
type Report struct {
	Device fleet.ID
	From   Source
	Entry  lwm2m.Entry
	At     time.Time // of arrival
	// Past is set on a value that the same message replaces by a newer one: it
	// belongs to the history of the resource only (§6.4.6).
	Past bool
}

const (
	// recordEvery is how often values of notifications go to the Store: of those of
	// one resource in between, the last is written. A crash can lose as much.
	recordEvery = time.Second
	// recordBatch is how many values share a transaction.
	recordBatch = 512
	// maxReports bounds the values that wait. Who brings more waits for the Store.
	maxReports = 1 << 16
)

// A recorder gathers values of notifications on their way to the Store.
type recorder struct {
	wake chan struct{} // holds one

	mu      sync.Mutex
	reports map[reported]Report
}

type reported struct {
	device fleet.ID
	path   lwm2m.Path
	past   int64 // when it was measured, in microseconds; 0 for the newest
}

func newRecorder() *recorder {
	return &recorder{wake: make(chan struct{}, 1), reports: map[reported]Report{}}
}

// add takes values, the newest of each path, or returns false if there is no room.
func (r *recorder) add(reports []Report) bool {
	r.mu.Lock()
	if len(r.reports)+len(reports) > maxReports {
		r.mu.Unlock()
		return false
	}
	for _, v := range reports {
		key := reported{device: v.Device, path: v.Entry.Path}
		if v.Past {
			key.past = v.Entry.Time.UnixMicro()
		}
		r.reports[key] = v
	}
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default:
	}
	return true
}

// take returns what was added since the last time.
func (r *recorder) take() []Report {
	r.mu.Lock()
	all := r.reports
	r.reports = map[reported]Report{}
	r.mu.Unlock()
	out := make([]Report, 0, len(all))
	for _, v := range all {
		out = append(out, v)
	}
	return out
}

// keepRecords writes values until ctx ends, and then those that wait.
func (s *Server) keepRecords(ctx context.Context) {
	rest := time.NewTimer(0)
	defer rest.Stop()
	for {
		select {
		case <-s.recorder.wake:
		case <-ctx.Done():
			last := context.WithoutCancel(ctx)
			s.failed(last, "values not kept", s.storeAll(last, s.recorder.take()))
			return
		}
		s.failed(ctx, "values not kept", s.storeAll(context.WithoutCancel(ctx), s.recorder.take()))
		rest.Reset(recordEvery)
		select {
		case <-rest.C:
		case <-ctx.Done():
		}
	}
}

// storeAll stores values in batches.
func (s *Server) storeAll(ctx context.Context, reports []Report) error {
	for first := 0; first < len(reports); first += recordBatch {
		if err := s.o.Store.Record(ctx, reports[first:min(first+recordBatch, len(reports))]); err != nil {
			return err
		}
	}
	return nil
}
