package sim

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/client"
	"steward/objects"
	"steward/transfer"
)

const serverID = objects.ServerID

// A serverObject is object LwM2M Server: the account at the present provider.
type serverObject struct {
	l     *life
	table *client.Table
	now   transfer.Account // in the table; zero: none
}

func newServerObject(l *life) *serverObject {
	o := &serverObject{l: l}
	o.table = client.NewTable(client.TableOptions{
		ID: serverID, Version: "1.2", Schema: l.d.schema, Resources: []uint16{objects.ServerUpdateTrigger},
		OnWrite: o.write, OnExecute: o.execute,
	})
	return o
}

// set makes a the only account. It leaves alone what the server has written to
// one that is there.
func (o *serverObject) set(a transfer.Account) {
	if o.now == a {
		return
	}
	o.now = a
	mute := false
	base := lwm2m.NewPath(serverID, 0)
	o.table.Replace(base, objects.Server{
		ShortID: uint16(a.SSID), Lifetime: int64(a.Lifetime), //nolint:gosec // checked when it was accepted
		Storing: true, Binding: o.l.o.binding(), MuteSend: &mute,
	}.Entries(base)...)
}

// clear removes the account.
func (o *serverObject) clear() {
	o.now = transfer.Account{}
	o.table.Remove(lwm2m.NewPath(serverID, 0))
}

func (o *serverObject) write(_ context.Context, _ client.Session, _ lwm2m.Path, entries []lwm2m.Entry) error {
	for _, e := range entries {
		if id := e.Path.ID(2); id == objects.ServerShortID || id == objects.ServerBinding {
			return client.ErrMethodNotAllowed
		}
	}
	return nil
}

func (o *serverObject) execute(_ context.Context, s client.Session, p lwm2m.Path, _ string) error {
	if p.ID(2) != objects.ServerUpdateTrigger {
		return client.ErrMethodNotAllowed
	}
	o.l.cl.RequestUpdate(s.Peer)
	return nil
}

// dataPrefix begins the keys of application data, which every reset profile but
// one erases.
const dataPrefix = "data/"

var batteryLevel = lwm2m.NewPath(objects.DeviceID, 0, objects.DeviceBatteryLevel)

const deviceKey = dataPrefix + "device"

// deviceData is what a server may set in object Device.
type deviceData struct {
	UTCOffset string `json:"utc_offset"`
	Timezone  string `json:"timezone"`
}

// A battery is object Device, whose battery level changes so that there is
// something to observe.
type battery struct {
	l     *life
	table *client.Table
	level int64
	next  time.Time
}

func newBattery(l *life) *battery {
	b := &battery{l: l, level: 60 + rand.Int64N(40)} //nolint:gosec // not a secret
	b.next = time.Now().Add(b.pause())
	hardware := l.d.b.Hardware
	data := deviceData{UTCOffset: "+00:00", Timezone: "UTC"}
	if raw := l.nv.Get(deviceKey); raw != nil {
		_ = json.Unmarshal(raw, &data) // the device wrote it itself
	}
	version, _ := l.fw.running()
	total := int64(2 * capacity >> 10 * len(l.fw.target.components))
	free, status := total/2, int64(0)
	base := lwm2m.NewPath(objects.DeviceID, 0)
	b.table = client.NewTable(client.TableOptions{
		ID: objects.DeviceID, Version: "1.2", Schema: l.d.schema,
		Values: objects.Device{
			Manufacturer: hardware.Manufacturer, Model: hardware.Model, Serial: hardware.Serial, Firmware: version,
			PowerSources: map[uint16]int64{0: 1}, Voltage: map[uint16]int64{0: b.voltage()},
			BatteryLevel: &b.level, MemoryFree: &free, ErrorCodes: map[uint16]int64{0: 0}, Time: time.Now().UTC(),
			UTCOffset: data.UTCOffset, Timezone: data.Timezone, Bindings: l.o.binding(), Type: "simulated",
			BatteryStatus: &status, MemoryTotal: &total,
		}.Entries(base),
		Resources: []uint16{objects.DeviceReboot, objects.DeviceFactoryReset},
		OnWrite:   b.write, OnExecute: b.execute,
	})
	return b
}

// pause returns the time to the next change, spread so that devices do not speak
// all at once.
func (b *battery) pause() time.Duration {
	every := b.l.o.Battery
	return every/2 + time.Duration(dice()*float64(every))
}

// voltage follows the level, in millivolts.
func (b *battery) voltage() int64 { return 3300 + 9*b.level }

// step changes the level when it is time and returns when that is again.
func (b *battery) step(now time.Time) time.Time {
	if now.Before(b.next) {
		return b.next
	}
	b.next = now.Add(b.pause())
	b.level--
	if b.level < 5 {
		b.level = 100 // charged
	}
	base := lwm2m.NewPath(objects.DeviceID, 0)
	b.table.Set(
		lwm2m.Entry{Path: base.Child(objects.DeviceBatteryLevel), Value: lwm2m.Integer(b.level)},
		lwm2m.Entry{Path: base.Child(objects.DeviceVoltage).Child(0), Value: lwm2m.Integer(b.voltage())},
		lwm2m.Entry{Path: base.Child(objects.DeviceTime), Value: lwm2m.Time(now.Unix())},
	)
	return b.next
}

func (b *battery) write(_ context.Context, _ client.Session, _ lwm2m.Path, entries []lwm2m.Entry) error {
	base := lwm2m.NewPath(objects.DeviceID, 0)
	data := deviceData{
		UTCOffset: b.table.Value(base.Child(objects.DeviceUTCOffset)).Text(),
		Timezone:  b.table.Value(base.Child(objects.DeviceTimezone)).Text(),
	}
	for _, e := range entries {
		switch e.Path.ID(2) {
		case objects.DeviceUTCOffset:
			data.UTCOffset = e.Value.Text()
		case objects.DeviceTimezone:
			data.Timezone = e.Value.Text()
		}
	}
	raw, err := json.Marshal(data)
	if err != nil {
		return err
	}
	return b.l.put(map[string][]byte{deviceKey: raw})
}

func (b *battery) execute(_ context.Context, _ client.Session, p lwm2m.Path, _ string) error {
	switch p.ID(2) {
	case objects.DeviceReboot:
		b.l.reboot()
		return nil
	case objects.DeviceFactoryReset:
		return answer(b.l.factoryReset())
	default:
		return client.ErrMethodNotAllowed
	}
}
