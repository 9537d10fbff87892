package sim

import (
	"context"
	"fmt"
	"hash/fnv"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"steward/objects"
)

// A Fault is how a device misbehaves in each update, on purpose.
type Fault string

// The faults.
const (
	// FaultTimeout never ends a download, until it is cancelled.
	FaultTimeout Fault = "timeout"
	// FaultWrongResult refuses a good package when it is to be installed, with one
	// of several results, or claims a success that is none.
	FaultWrongResult Fault = "wrong-result"
	// FaultReboot restarts once in the middle of the download, and once in the
	// middle of the installation.
	FaultReboot Fault = "reboot"
	// FaultSleep goes out of reach for some time when it is told to install.
	FaultSleep Fault = "sleep"
	// FaultDefer puts the installation off: result 11.
	FaultDefer Fault = "defer"
)

// faults are all of them. It is never changed.
var faults = []Fault{FaultTimeout, FaultWrongResult, FaultReboot, FaultSleep, FaultDefer}

// wrongResults are what FaultWrongResult chooses from: a success that is none, and
// a number that the standard does not know, among them. It is never changed.
var wrongResults = []objects.FirmwareResult{
	objects.FirmwareSuccess, objects.FirmwareNoStorage, objects.FirmwareNoMemory, objects.FirmwareIntegrity,
	objects.FirmwareFailed, 42,
}

// Misbehaviour makes some devices misbehave in every update, to try out campaigns.
// Which devices, and how, follows from Seed and their names alone. The zero value
// makes none.
type Misbehaviour struct {
	Faults []Fault       // one of them for each such device; none: no device misbehaves
	Share  float64       // of the devices, 0 to 1
	Seed   uint64        // chooses the devices
	For    time.Duration // how long sleep and defer last; zero: 10 s
}

const defaultFaultTime = 10 * time.Second

// ParseFaults reads names of faults joined by commas; "" is none. It returns
// ErrOptions.
func ParseFaults(text string) (list []Fault, err error) {
	if text == "" {
		return nil, nil
	}
	for name := range strings.SplitSeq(text, ",") {
		if !slices.Contains(faults, Fault(name)) {
			return nil, fmt.Errorf("%w: no fault %q, there are %v", ErrOptions, name, faults)
		}
		list = append(list, Fault(name))
	}
	return list, nil
}

// Of returns how the device with a name misbehaves; "" if it does not.
func (m *Misbehaviour) Of(endpoint string) Fault {
	if len(m.Faults) == 0 || float64(m.hash(endpoint, "share"))/math.MaxUint64 >= m.Share {
		return ""
	}
	return m.Faults[m.hash(endpoint, "fault")%uint64(len(m.Faults))]
}

// result returns the wrong result of the device with a name.
func (m *Misbehaviour) result(endpoint string) objects.FirmwareResult {
	return wrongResults[m.hash(endpoint, "result")%uint64(len(wrongResults))]
}

// hash draws a number for a device and a purpose.
func (m *Misbehaviour) hash(endpoint, purpose string) uint64 {
	h := fnv.New64a()
	_, _ = fmt.Fprintf(h, "%d %s %s", m.Seed, purpose, endpoint) // a hash takes everything
	// FNV leaves the high bits of short texts alike: mix them (MurmurHash3's end).
	n := h.Sum64()
	for range 2 {
		n ^= n >> 33 //nolint:mnd // the constants are the function's
		n *= 0xff51afd7ed558ccd
	}
	return n ^ n>>33
}

// faultsKey counts the faults of the update under way, so that they end.
const faultsKey = firmwarePrefix + "faults"

// fault returns how this device misbehaves.
func (f *firmware) fault() Fault { return f.l.o.Misbehave.Of(f.l.d.b.Endpoint) }

// once reports whether the fault with a number of this update is still to come,
// and counts it.
func (f *firmware) once(n int) bool {
	past, _ := strconv.Atoi(string(f.l.nv.Get(faultsKey))) // absent: none
	if past >= n {
		return false
	}
	return f.l.put(map[string][]byte{faultsKey: strconv.AppendInt(nil, int64(n), 10)}) == nil
}

// tell tells of a fault.
func (f *firmware) tell(fault Fault, detail string) {
	f.l.d.event(f.l.about(Event{Kind: Misbehaving, Detail: string(fault) + ": " + detail}))
}

// The faults of one update, in their order.
const (
	faultInDownload = 1
	faultInInstall  = 2
)

// spoilDownload misbehaves when a package has come, and reports whether it did.
func (f *firmware) spoilDownload() bool {
	switch f.fault() {
	case FaultTimeout:
		f.tell(FaultTimeout, "the download never ends")
		return true
	case FaultReboot:
		if f.once(faultInDownload) {
			f.tell(FaultReboot, "in the download")
			f.l.reboot()
			return true
		}
	case FaultWrongResult, FaultSleep, FaultDefer:
	}
	return false
}

// spoilUpdate misbehaves when the device is told to install what it has, and
// reports whether it did. The error is the memory's.
func (f *firmware) spoilUpdate(p progress) (spoilt bool, err error) {
	switch f.fault() {
	case FaultWrongResult:
		result := f.l.o.Misbehave.result(f.l.d.b.Endpoint)
		f.tell(FaultWrongResult, strconv.Itoa(int(result)))
		return true, f.cancel(result)
	case FaultDefer:
		if !f.once(faultInInstall) {
			return false, nil
		}
		f.tell(FaultDefer, f.faultTime().String())
		p.Result = objects.FirmwareDeferred
		if err := f.set(p, nil); err != nil {
			return true, err
		}
		f.start(f.deferred)
		return true, nil
	case FaultTimeout, FaultReboot, FaultSleep:
	}
	return false, nil
}

// spoilInstall misbehaves at the beginning of the installation, and reports whether
// it did: the device restarts and goes on with it.
func (f *firmware) spoilInstall() bool {
	fault := f.fault()
	if fault != FaultReboot && fault != FaultSleep || !f.once(faultInInstall) {
		return false
	}
	f.tell(fault, "in the installation")
	if fault == FaultSleep {
		f.l.mu.Lock()
		f.l.absence = f.faultTime()
		f.l.mu.Unlock()
	}
	f.l.reboot()
	return true
}

// deferred installs what was put off when its time has come.
func (f *firmware) deferred(ctx context.Context) {
	if !wait(ctx, f.faultTime()) {
		return
	}
	p := f.progress()
	p.State, p.Result = objects.FirmwareUpdating, objects.FirmwareInitial
	if f.set(p, nil) == nil { // else the memory failed, which is kept
		f.install(ctx)
	}
}

func (f *firmware) faultTime() time.Duration { return f.l.o.Misbehave.For }
