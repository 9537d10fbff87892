package trial

import (
	"bytes"
	"fmt"
	"time"

	"steward/cmd/internal/sim"
	"steward/lwm2m"
	"steward/lwm2m/client"
	"steward/objects"
)

// A machine is what an object does beside holding values.
type machine struct {
	execute func(d *Device, t *client.Table, p lwm2m.Path, args string) error
	write   func(d *Device, t *client.Table, entries []lwm2m.Entry) error // nil: all may be written
}

// machineOf returns the machine of an object, the zero machine without one.
func machineOf(object uint16) machine {
	switch object {
	case objects.DeviceID:
		return machine{execute: executeDevice}
	case objects.FirmwareID:
		return machine{execute: executeFirmware, write: writeFirmware}
	case statisticsID:
		return machine{execute: executeStatistics}
	case softwareID:
		return machine{execute: executeSoftware, write: writeSoftware}
	default:
		return machine{}
	}
}

// set sets an integer resource of the instance at base.
func set(t *client.Table, base lwm2m.Path, values map[uint16]int64) {
	for id, v := range values {
		t.Set(lwm2m.Entry{Path: base.Child(id), Value: lwm2m.Integer(v)})
	}
}

func get(t *client.Table, base lwm2m.Path, id uint16) int64 {
	n, _ := t.Value(base.Child(id)).Int()
	return n
}

// Executables of object Device.
const (
	deviceReboot     = objects.DeviceReboot
	deviceReset      = 5
	deviceErrorReset = 12
	deviceErrorCode  = 11
)

func executeDevice(d *Device, t *client.Table, p lwm2m.Path, _ string) error {
	switch p.ID(2) {
	case deviceReboot, deviceReset:
		d.now().later(func() { d.give(orderReboot) })
	case deviceErrorReset:
		t.Set(lwm2m.Entry{Path: p.Prefix(2).Child(deviceErrorCode).Child(0), Value: lwm2m.Integer(0)})
	default:
		return client.ErrMethodNotAllowed
	}
	return nil
}

// Object Connectivity Statistics: collecting is a value that grows.
const (
	statisticsID    = 7
	statisticsTx    = 2
	statisticsRx    = 3
	statisticsStart = 6
	statisticsStop  = 7
	collected       = 12 // kilobytes that a collection ends with
)

func executeStatistics(_ *Device, t *client.Table, p lwm2m.Path, _ string) error {
	switch base := p.Prefix(2); p.ID(2) {
	case statisticsStart:
		set(t, base, map[uint16]int64{statisticsTx: 0, statisticsRx: 0})
	case statisticsStop:
		set(t, base, map[uint16]int64{statisticsTx: collected, statisticsRx: collected})
	default:
		return client.ErrMethodNotAllowed
	}
	return nil
}

// A package that begins with one of these words fails as it says, so that a server
// can be seen to cope.
var (
	failStorage   = []byte("fail-storage")
	failMemory    = []byte("fail-memory")
	failIntegrity = []byte("fail-integrity")
	failType      = []byte("fail-type")
	failInstall   = []byte("fail-install")
)

// firmwareFailure returns the result of a package that is refused when it comes.
func firmwareFailure(raw []byte) objects.FirmwareResult {
	switch {
	case bytes.HasPrefix(raw, failStorage):
		return objects.FirmwareNoStorage
	case bytes.HasPrefix(raw, failMemory):
		return objects.FirmwareNoMemory
	case bytes.HasPrefix(raw, failIntegrity):
		return objects.FirmwareIntegrity
	case bytes.HasPrefix(raw, failType):
		return objects.FirmwareUnsupportedType
	default:
		return objects.FirmwareInitial
	}
}

// writeFirmware takes a package (Core 1.2.2 §E.6). It is any bytes; the firmware
// afterwards calls itself by their number. What a URI names is fetched.
func writeFirmware(d *Device, t *client.Table, entries []lwm2m.Entry) error {
	for _, e := range entries {
		base := e.Path.Prefix(2)
		state, result := objects.FirmwareIdle, objects.FirmwareInitial
		switch e.Path.ID(2) {
		case objects.FirmwarePackage:
			state, result = receiveFirmware(t, base, e.Value.Bytes())
		case objects.FirmwareURI:
			if uri := e.Value.Text(); uri != "" {
				pullFirmware(d, t, base, uri)
				continue
			}
		default:
			continue
		}
		set(t, base, map[uint16]int64{objects.FirmwareStateID: int64(state), objects.FirmwareResultID: int64(result)})
	}
	return nil
}

// receiveFirmware takes a package that has come.
func receiveFirmware(t *client.Table, base lwm2m.Path, raw []byte) (objects.FirmwareState, objects.FirmwareResult) {
	result := firmwareFailure(raw)
	if result != objects.FirmwareInitial || len(raw) < 2 { //nolint:mnd // one byte takes a package back
		return objects.FirmwareIdle, result
	}
	t.Set(lwm2m.Entry{Path: base.Child(objects.FirmwareName), Value: lwm2m.String(packageName(raw))})
	return objects.FirmwareDownloaded, result
}

// packageName is what a package is called: its first words, or its length.
func packageName(raw []byte) string {
	if bytes.HasPrefix(raw, failInstall) {
		return string(failInstall)
	}
	return fmt.Sprintf("%d bytes", len(raw))
}

// installTime is how long an installation takes.
const installTime = time.Second

func executeFirmware(d *Device, t *client.Table, p lwm2m.Path, _ string) error {
	base := p.Prefix(2)
	state := objects.FirmwareState(get(t, base, objects.FirmwareStateID)) //nolint:gosec // our own
	switch p.ID(2) {
	case objects.FirmwareCancel:
		set(t, base, map[uint16]int64{objects.FirmwareStateID: 0, objects.FirmwareResultID: int64(objects.FirmwareCancelled)})
		return nil
	case objects.FirmwareUpdate:
		if state != objects.FirmwareDownloaded {
			return client.ErrMethodNotAllowed
		}
	default:
		return client.ErrMethodNotAllowed
	}
	name := t.Value(base.Child(objects.FirmwareName)).Text()
	set(t, base, map[uint16]int64{objects.FirmwareStateID: int64(objects.FirmwareUpdating)})
	time.AfterFunc(installTime, func() {
		if name == string(failInstall) {
			set(t, base, map[uint16]int64{
				objects.FirmwareStateID:  int64(objects.FirmwareDownloaded),
				objects.FirmwareResultID: int64(objects.FirmwareFailed),
			})
			return
		}
		set(t, base, map[uint16]int64{
			objects.FirmwareStateID: 0, objects.FirmwareResultID: int64(objects.FirmwareSuccess),
		})
		d.device.Set(lwm2m.Entry{Path: firmwareVersion, Value: lwm2m.String(name)})
		d.event(sim.Event{Kind: sim.Updated, Version: name})
		d.give(orderReboot)
	})
	return nil
}

// Object Software Management (LwM2M Software Component Management §5): resources,
// states and results.
const (
	softwareID         = 9
	softwareName       = 0
	softwareVersion    = 1
	softwarePackage    = 2
	softwareURI        = 3
	softwareInstall    = 4
	softwareUninstall  = 6
	softwareState      = 7
	softwareResult     = 9
	softwareActivate   = 10
	softwareDeactivate = 11
	softwareActive     = 12

	softwareInitial     = 0
	softwareDownloading = 1
	softwareDelivered   = 3
	softwareInstalled   = 4

	softwareDownload       = 1
	softwareSuccess        = 2
	softwareVerified       = 3
	softwareNoStorage      = 50
	softwareNoMemory       = 51
	softwareConnectionLost = 52
	softwareIntegrity      = 53
	softwareUnsupported    = 54
	softwareInvalidURI     = 56
	softwareInstallFailed  = 58
)

// writeSoftware takes a package, or fetches it.
func writeSoftware(d *Device, t *client.Table, entries []lwm2m.Entry) error {
	for _, e := range entries {
		base := e.Path.Prefix(2)
		id := e.Path.ID(2)
		if id != softwarePackage && id != softwareURI {
			continue
		}
		if get(t, base, softwareState) != softwareInitial {
			return client.ErrMethodNotAllowed
		}
		if id == softwareURI {
			pullSoftware(d, t, base, e.Value.Text())
			continue
		}
		state, result := receiveSoftware(t, base, e.Value.Bytes())
		set(t, base, map[uint16]int64{softwareState: state, softwareResult: result})
	}
	return nil
}

// receiveSoftware takes a package that has come.
func receiveSoftware(t *client.Table, base lwm2m.Path, raw []byte) (state, result int64) {
	state, result = receivedSoftware(raw)
	if state == softwareDelivered {
		t.Set(
			lwm2m.Entry{Path: base.Child(softwareName), Value: lwm2m.String(packageName(raw))},
			lwm2m.Entry{Path: base.Child(softwareVersion), Value: lwm2m.String("1.0")})
	}
	return state, result
}

// receivedSoftware judges a package that has come.
func receivedSoftware(raw []byte) (state, result int64) {
	switch firmwareFailure(raw) {
	case objects.FirmwareNoStorage:
		return softwareInitial, softwareNoStorage
	case objects.FirmwareNoMemory:
		return softwareInitial, softwareNoMemory
	case objects.FirmwareIntegrity:
		return softwareInitial, softwareIntegrity
	case objects.FirmwareUnsupportedType:
		return softwareInitial, softwareUnsupported
	default:
		return softwareDelivered, softwareVerified
	}
}

func executeSoftware(_ *Device, t *client.Table, p lwm2m.Path, _ string) error {
	base := p.Prefix(2)
	needs := map[uint16]int64{
		softwareInstall: softwareDelivered, softwareUninstall: softwareInstalled,
		softwareActivate: softwareInstalled, softwareDeactivate: softwareInstalled,
	}
	if need, ok := needs[p.ID(2)]; !ok || get(t, base, softwareState) != need {
		return client.ErrMethodNotAllowed
	}
	active := false
	switch p.ID(2) {
	case softwareInstall:
		if t.Value(base.Child(softwareName)).Text() == string(failInstall) {
			set(t, base, map[uint16]int64{softwareResult: softwareInstallFailed})
			return nil
		}
		set(t, base, map[uint16]int64{softwareState: softwareInstalled, softwareResult: softwareSuccess})
	case softwareUninstall:
		set(t, base, map[uint16]int64{softwareState: softwareInitial, softwareResult: softwareInitial})
	case softwareActivate:
		active = true
	}
	t.Set(lwm2m.Entry{Path: base.Child(softwareActive), Value: lwm2m.Boolean(active)})
	return nil
}
