package objects

import (
	"time"

	"steward/lwm2m"
)

// FirmwareID is the object id of Firmware Update (Core 1.2.2 §E.6).
const FirmwareID = 5

// Resources of Firmware Update.
const (
	FirmwarePackage     = 0
	FirmwareURI         = 1
	FirmwareUpdate      = 2
	FirmwareStateID     = 3
	FirmwareResultID    = 5
	FirmwareName        = 6
	FirmwareVersion     = 7
	FirmwareProtocols   = 8
	FirmwareDeliveryID  = 9
	FirmwareCancel      = 10
	FirmwareSeverity    = 11
	FirmwareLastChange  = 12
	FirmwareMaxDefer    = 13
	FirmwareAutomaticID = 14
)

// A FirmwareState is where an update stands: resource /5/0/3.
type FirmwareState uint8

// The states of an update.
const (
	FirmwareIdle        FirmwareState = 0
	FirmwareDownloading FirmwareState = 1
	FirmwareDownloaded  FirmwareState = 2
	FirmwareUpdating    FirmwareState = 3
)

// String returns the state in words.
func (s FirmwareState) String() string {
	return word(map[FirmwareState]string{
		FirmwareIdle: "idle", FirmwareDownloading: "downloading",
		FirmwareDownloaded: "downloaded", FirmwareUpdating: "updating",
	}, s)
}

// A FirmwareResult is how the last update ended: resource /5/0/5.
type FirmwareResult uint8

// The results of an update. 10 and 11 exist since version 1.1 of the object.
const (
	FirmwareInitial          FirmwareResult = 0
	FirmwareSuccess          FirmwareResult = 1
	FirmwareNoStorage        FirmwareResult = 2
	FirmwareNoMemory         FirmwareResult = 3
	FirmwareConnectionLost   FirmwareResult = 4
	FirmwareIntegrity        FirmwareResult = 5
	FirmwareUnsupportedType  FirmwareResult = 6
	FirmwareInvalidURI       FirmwareResult = 7
	FirmwareFailed           FirmwareResult = 8
	FirmwareUnsupportedProto FirmwareResult = 9
	FirmwareCancelled        FirmwareResult = 10
	FirmwareDeferred         FirmwareResult = 11
)

// String returns the result in words.
func (r FirmwareResult) String() string {
	return word(map[FirmwareResult]string{
		FirmwareInitial:          "none yet",
		FirmwareSuccess:          "updated",
		FirmwareNoStorage:        "not enough flash memory",
		FirmwareNoMemory:         "out of RAM while downloading",
		FirmwareConnectionLost:   "connection lost while downloading",
		FirmwareIntegrity:        "integrity check failed",
		FirmwareUnsupportedType:  "unsupported package type",
		FirmwareInvalidURI:       "invalid URI",
		FirmwareFailed:           "update failed",
		FirmwareUnsupportedProto: "unsupported protocol",
		FirmwareCancelled:        "cancelled",
		FirmwareDeferred:         "deferred",
		FirmwareConflict:         "another update stands in the way",
		FirmwareDependency:       "another component must be updated along",
	}, r)
}

// A FirmwareDelivery is how packages may reach the device: resource /5/0/9.
type FirmwareDelivery uint8

// The ways of delivery.
const (
	DeliveryPull FirmwareDelivery = 0 // the server writes a URI
	DeliveryPush FirmwareDelivery = 1 // the server writes the package
	DeliveryBoth FirmwareDelivery = 2
)

// String returns the way of delivery in words.
func (d FirmwareDelivery) String() string {
	return word(map[FirmwareDelivery]string{
		DeliveryPull: "pull", DeliveryPush: "push", DeliveryBoth: "pull or push",
	}, d)
}

// A FirmwareProtocol is one that the device can fetch packages by: an instance
// of resource /5/0/8.
type FirmwareProtocol uint8

// The protocols of /5/0/8. Without that resource a device knows CoAP only.
const (
	ProtocolCoAP     FirmwareProtocol = 0
	ProtocolCoAPS    FirmwareProtocol = 1
	ProtocolHTTP     FirmwareProtocol = 2
	ProtocolHTTPS    FirmwareProtocol = 3
	ProtocolCoAPTCP  FirmwareProtocol = 4
	ProtocolCoAPSTCP FirmwareProtocol = 5
)

// String returns the scheme of the protocol's URIs.
func (p FirmwareProtocol) String() string {
	return word(map[FirmwareProtocol]string{
		ProtocolCoAP: "coap", ProtocolCoAPS: "coaps", ProtocolHTTP: "http",
		ProtocolHTTPS: "https", ProtocolCoAPTCP: "coap+tcp", ProtocolCoAPSTCP: "coaps+tcp",
	}, p)
}

// Firmware is what a server can read of Firmware Update.
type Firmware struct {
	URI        string
	State      FirmwareState
	Result     FirmwareResult
	Name       string                      // of the package downloaded or installed
	Version    string                      // likewise
	Protocols  map[uint16]FirmwareProtocol // nil: CoAP only
	Delivery   FirmwareDelivery
	Severity   *uint8    // 0 critical, 1 mandatory, 2 optional; nil: mandatory
	LastChange time.Time // of State
	MaxDefer   *uint32   // seconds that the user may put an update off
	Automatic  *bool     // upgrade without waiting for Update
}

func (f *Firmware) fields() []field {
	return []field{
		nonzero(FirmwareURI, &f.URI, text()),
		single(FirmwareStateID, &f.State, integer[FirmwareState]()),
		single(FirmwareResultID, &f.Result, integer[FirmwareResult]()),
		nonzero(FirmwareName, &f.Name, text()),
		nonzero(FirmwareVersion, &f.Version, text()),
		multiple(FirmwareProtocols, &f.Protocols, integer[FirmwareProtocol]()),
		single(FirmwareDeliveryID, &f.Delivery, integer[FirmwareDelivery]()),
		optional(FirmwareSeverity, &f.Severity, integer[uint8]()),
		nonzero(FirmwareLastChange, &f.LastChange, moment()),
		optional(FirmwareMaxDefer, &f.MaxDefer, unsigned[uint32]()),
		optional(FirmwareAutomaticID, &f.Automatic, boolean()),
	}
}

// DecodeFirmware reads the instance at base.
func DecodeFirmware(base lwm2m.Path, entries []lwm2m.Entry) (Firmware, error) {
	return decode(base, entries, (*Firmware).fields)
}

// Entries returns f as the instance at base.
func (f Firmware) Entries(base lwm2m.Path) []lwm2m.Entry { return encode(base, f.fields()) }
