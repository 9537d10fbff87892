package objects

import (
	"time"

	"steward/lwm2m"
)

// DeviceID is the object id of Device (Core 1.2.2 §E.4).
const DeviceID = 3

// Resources of Device.
const (
	DeviceManufacturer  = 0
	DeviceModel         = 1
	DeviceSerial        = 2
	DeviceFirmware      = 3
	DeviceReboot        = 4
	DeviceFactoryReset  = 5
	DevicePowerSources  = 6
	DeviceVoltage       = 7
	DeviceCurrent       = 8
	DeviceBatteryLevel  = 9
	DeviceMemoryFree    = 10
	DeviceErrorCodes    = 11
	DeviceResetErrors   = 12
	DeviceTime          = 13
	DeviceUTCOffset     = 14
	DeviceTimezone      = 15
	DeviceBindings      = 16
	DeviceType          = 17
	DeviceHardware      = 18
	DeviceSoftware      = 19
	DeviceBatteryStatus = 20
	DeviceMemoryTotal   = 21
	DeviceExtInfo       = 22
)

// Device is the object about the device itself. Strings are absent when empty.
type Device struct {
	Manufacturer  string
	Model         string
	Serial        string
	Firmware      string           // version
	PowerSources  map[uint16]int64 // 0 DC, 1 internal battery, 2 external battery, 5 USB …
	Voltage       map[uint16]int64 // millivolts, by the instance of PowerSources
	Current       map[uint16]int64 // milliamperes, likewise
	BatteryLevel  *int64           // percent
	MemoryFree    *int64           // KiB
	ErrorCodes    map[uint16]int64 // 0 no error; mandatory
	Time          time.Time        // whole seconds
	UTCOffset     string           // "+02:00"
	Timezone      string           // "Europe/Stockholm"
	Bindings      string           // "U"; mandatory
	Type          string
	Hardware      string
	Software      string
	BatteryStatus *int64
	MemoryTotal   *int64 // KiB
	ExtInfo       map[uint16]Link
}

func (d *Device) fields() []field {
	return []field{
		nonzero(DeviceManufacturer, &d.Manufacturer, text()),
		nonzero(DeviceModel, &d.Model, text()),
		nonzero(DeviceSerial, &d.Serial, text()),
		nonzero(DeviceFirmware, &d.Firmware, text()),
		multiple(DevicePowerSources, &d.PowerSources, integer[int64]()),
		multiple(DeviceVoltage, &d.Voltage, integer[int64]()),
		multiple(DeviceCurrent, &d.Current, integer[int64]()),
		optional(DeviceBatteryLevel, &d.BatteryLevel, integer[int64]()),
		optional(DeviceMemoryFree, &d.MemoryFree, integer[int64]()),
		required(multiple(DeviceErrorCodes, &d.ErrorCodes, integer[int64]())),
		nonzero(DeviceTime, &d.Time, moment()),
		nonzero(DeviceUTCOffset, &d.UTCOffset, text()),
		nonzero(DeviceTimezone, &d.Timezone, text()),
		single(DeviceBindings, &d.Bindings, text()),
		nonzero(DeviceType, &d.Type, text()),
		nonzero(DeviceHardware, &d.Hardware, text()),
		nonzero(DeviceSoftware, &d.Software, text()),
		optional(DeviceBatteryStatus, &d.BatteryStatus, integer[int64]()),
		optional(DeviceMemoryTotal, &d.MemoryTotal, integer[int64]()),
		multiple(DeviceExtInfo, &d.ExtInfo, link()),
	}
}

// DecodeDevice reads the instance at base.
func DecodeDevice(base lwm2m.Path, entries []lwm2m.Entry) (Device, error) {
	return decode(base, entries, (*Device).fields)
}

// Entries returns d as the instance at base.
func (d Device) Entries(base lwm2m.Path) []lwm2m.Entry { return encode(base, d.fields()) }
