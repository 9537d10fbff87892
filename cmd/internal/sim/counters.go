package sim

import (
	"cmp"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"steward/objects"
)

// A Count is what one device exchanged with one server in one phase, in UDP
// payload.
type Count struct {
	Host             string `json:"host"` // of the server, with the port unless it is 5684
	Phase            string `json:"phase"`
	SentBytes        uint64 `json:"sent_bytes"`
	ReceivedBytes    uint64 `json:"received_bytes"`
	SentMessages     uint64 `json:"sent_messages"`
	ReceivedMessages uint64 `json:"received_messages"`
	Handshakes       uint64 `json:"handshakes,omitempty"` // completed
}

// Bytes returns both directions.
func (c Count) Bytes() uint64 { return c.SentBytes + c.ReceivedBytes }

// How often counters are written, and what a crash loses of them at most: those of what
// devices do once, and those of what they do all the time, which a thousand devices
// would keep a disk busy with.
const (
	saveEvery       = 3 * time.Second
	saveSteadyEvery = time.Minute
)

// steady names the phases of what registered devices do all the time.
var steady = map[string]bool{"management": true, "send": true, "registration_update": true} // never changed

// counters are all counts of a device, over all its lives.
type counters struct {
	path string
	ids  [3]string // object ids of truststore, enrolment, transfer as path segments

	saving sync.Mutex // one writer at a time

	mu    sync.Mutex
	all   map[[2]string]*Count
	dirty bool // something other than steady traffic was counted
	stale bool // anything was
	saved time.Time
}

func openCounters(path string) *counters {
	c := &counters{path: path, all: map[[2]string]*Count{}}
	counts, err := readCounters(path)
	if err != nil {
		return c // none yet; a damaged file is not worth stopping a device
	}
	for _, one := range counts {
		c.all[[2]string{one.Host, one.Phase}] = &one
	}
	return c
}

func (c *counters) name(ids objects.IDs) {
	for i, id := range []uint16{ids.Truststore, ids.Enrolment, ids.Transfer} {
		c.ids[i] = strconv.Itoa(int(id))
	}
}

func readCounters(path string) ([]Count, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var counts []Count
	return counts, json.Unmarshal(raw, &counts)
}

// meter returns a meter for a new association with the server at host.
func (c *counters) meter(host string, begins phase) *meter {
	return &meter{counters: c, host: host, begins: begins}
}

func (c *counters) add(host, of string, change func(*Count)) {
	if of == "" {
		of = "other"
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	key := [2]string{host, of}
	if c.all[key] == nil {
		c.all[key] = &Count{Host: host, Phase: of}
	}
	change(c.all[key])
	c.dirty, c.stale = c.dirty || !steady[of], true
}

func (c *counters) list() []Count {
	c.mu.Lock()
	defer c.mu.Unlock()
	counts := make([]Count, 0, len(c.all))
	for _, one := range c.all {
		counts = append(counts, *one)
	}
	slices.SortFunc(counts, func(a, b Count) int {
		return cmp.Or(cmp.Compare(a.Host, b.Host), cmp.Compare(a.Phase, b.Phase))
	})
	return counts
}

// saveSometimes writes the file if it is time, and returns when it will be; zero:
// there is nothing to write.
func (c *counters) saveSometimes(now time.Time) time.Time {
	c.mu.Lock()
	stale, due := c.stale, c.saved.Add(saveSteadyEvery)
	if c.dirty {
		due = c.saved.Add(saveEvery)
	}
	c.mu.Unlock()
	if !stale {
		return time.Time{}
	}
	if now.Before(due) {
		return due
	}
	c.save()
	return time.Time{}
}

// save writes the file. It is a measurement, not state: nothing waits for the
// disk, and its errors stop nobody.
func (c *counters) save() {
	c.saving.Lock()
	defer c.saving.Unlock()
	c.mu.Lock()
	c.dirty, c.stale, c.saved = false, false, time.Now()
	c.mu.Unlock()
	raw, err := json.MarshalIndent(c.list(), "", " ")
	if err != nil {
		return
	}
	temporary := c.path + ".new"
	if err := os.WriteFile(temporary, raw, 0o600); err == nil {
		_ = os.Rename(temporary, filepath.Clean(c.path))
	}
}
