package objects

import (
	"steward/lwm2m"
	"steward/objects/registry"
)

// AdvancedFirmwareID is the object id of Advanced Firmware Update
// (urn:oma:lwm2m:x:33629), which has an instance for each component of a device.
// OMA's registry does not list it; devices in the field have it.
const AdvancedFirmwareID = 33629

// Resources of Advanced Firmware Update. Those below 14 are those of Firmware
// Update.
const (
	AdvancedComponent   = 14
	AdvancedCurrent     = 15
	AdvancedLinked      = 16
	AdvancedConflicting = 17
)

// The results that only Advanced Firmware Update has.
const (
	FirmwareConflict   FirmwareResult = 12
	FirmwareDependency FirmwareResult = 13
)

// AdvancedFirmware is one component of a device as a server can read it.
type AdvancedFirmware struct {
	Firmware // without Automatic, whose number is that of Component

	Component   string          // name; the same for the life of the device
	Current     string          // version that runs
	Linked      map[uint16]Link // instances that are updated along with this one
	Conflicting map[uint16]Link // instances that stand in the way of an update
}

func (f *AdvancedFirmware) fields() []field {
	var all []field
	for _, one := range f.Firmware.fields() {
		if one.id != FirmwareAutomaticID {
			all = append(all, one)
		}
	}
	return append(all,
		nonzero(AdvancedComponent, &f.Component, text()),
		nonzero(AdvancedCurrent, &f.Current, text()),
		multiple(AdvancedLinked, &f.Linked, link()),
		multiple(AdvancedConflicting, &f.Conflicting, link()),
	)
}

// DecodeAdvancedFirmware reads the instance at base.
func DecodeAdvancedFirmware(base lwm2m.Path, entries []lwm2m.Entry) (AdvancedFirmware, error) {
	return decode(base, entries, (*AdvancedFirmware).fields)
}

// Entries returns f as the instance at base.
func (f AdvancedFirmware) Entries(base lwm2m.Path) []lwm2m.Entry { return encode(base, f.fields()) }

// AdvancedFirmwareDefinition describes the object for a registry.
func AdvancedFirmwareDefinition() registry.Object {
	multiple := func(r registry.Resource) registry.Resource {
		r.Multiple = true
		return r
	}
	return registry.Object{
		ID: AdvancedFirmwareID, Version: "1.0", LwM2M: "1.0", Name: "Advanced Firmware Update",
		URN: "urn:oma:lwm2m:x:33629", Multiple: true,
		Resources: []registry.Resource{
			resource(FirmwarePackage, "Package", opW, lwm2m.KindOpaque, true),
			resource(FirmwareURI, "Package URI", opRW, lwm2m.KindString, true),
			resource(FirmwareUpdate, "Update", opE, lwm2m.KindNone, true),
			resource(FirmwareStateID, "State", opR, lwm2m.KindInteger, true),
			resource(FirmwareResultID, "Update Result", opR, lwm2m.KindInteger, true),
			resource(FirmwareName, "PkgName", opR, lwm2m.KindString, false),
			resource(FirmwareVersion, "PkgVersion", opR, lwm2m.KindString, false),
			multiple(resource(FirmwareProtocols, "Firmware Update Protocol Support", opR, lwm2m.KindInteger, false)),
			resource(FirmwareDeliveryID, "Firmware Update Delivery Method", opR, lwm2m.KindInteger, true),
			resource(FirmwareCancel, "Cancel", opE, lwm2m.KindNone, false),
			resource(FirmwareSeverity, "Severity", opRW, lwm2m.KindInteger, false),
			resource(FirmwareLastChange, "Last State Change Time", opR, lwm2m.KindTime, false),
			resource(FirmwareMaxDefer, "Maximum Defer Period", opRW, lwm2m.KindUnsigned, false),
			resource(AdvancedComponent, "Component Name", opR, lwm2m.KindString, false),
			resource(AdvancedCurrent, "Current Version", opR, lwm2m.KindString, false),
			multiple(resource(AdvancedLinked, "Linked Instances", opR, lwm2m.KindObjlnk, false)),
			multiple(resource(AdvancedConflicting, "Conflicting Instances", opR, lwm2m.KindObjlnk, false)),
		},
	}
}
