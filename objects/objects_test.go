package objects_test

import (
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"steward/lwm2m"
	"steward/objects"
	"steward/objects/registry"
)

var (
	base = lwm2m.NewPath(9, 1) // any instance: only ids below it count
	when = time.Unix(1367491215, 0).UTC()
)

// roundTrip checks that decode gives back want from its entries, and that the
// entries have the kinds of the registry's newest definition of object.
func roundTrip[T interface {
	Entries(lwm2m.Path) []lwm2m.Entry
}](t *testing.T, object uint16, want T, decode func(lwm2m.Path, []lwm2m.Entry) (T, error)) {
	t.Helper()
	schema := registry.Default().With(objects.Definitions(objects.DefaultIDs)...).
		With(objects.AdvancedFirmwareDefinition())
	base := lwm2m.NewPath(object, 1)
	entries := want.Entries(base)
	for _, e := range entries {
		info, ok := schema.Resource(object, e.Path.ID(2))
		if !ok || info.Kind != e.Value.Kind() || info.Multiple != (e.Path.Len() == 4) {
			t.Errorf("%v is %v, want %v of a resource with multiple %v", e.Path, e.Value.Kind(), info.Kind, info.Multiple)
		}
	}
	// What belongs elsewhere, or to nobody, is ignored.
	entries = append(entries,
		lwm2m.Entry{Path: lwm2m.NewPath(object, 2, 0), Value: lwm2m.Float(1)},
		lwm2m.Entry{Path: base.Child(9999), Value: lwm2m.Float(1)})
	got, err := decode(base, entries)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("decode = %+v, %v, want %+v", got, err, want)
	}
}

func TestRoundTrip(t *testing.T) {
	t.Run("Security", func(t *testing.T) {
		roundTrip(t, objects.SecurityID, objects.Security{
			URI: "coaps://127.0.0.11", Mode: objects.ModeCertificate, Identity: []byte{1}, ServerKey: []byte{2},
			SecretKey: []byte{3}, ShortServer: 101, HoldOff: new(int64(5)), Timeout: new(int64(0)),
			Matching: new(uint8(1)), SNI: "alpha", Usage: new(uint8(3)),
		}, objects.DecodeSecurity)
	})
	t.Run("Security, bootstrap account without keys", func(t *testing.T) {
		roundTrip(t, objects.SecurityID, objects.Security{Bootstrap: true, Mode: objects.ModeNoSec}, objects.DecodeSecurity)
	})
	t.Run("Security, mandatory keys", func(t *testing.T) {
		base, written := lwm2m.NewPath(objects.SecurityID, 1), 0
		for _, e := range (objects.Security{Mode: objects.ModeNoSec}).Entries(base) {
			if id := e.Path.ID(2); id >= objects.SecurityIdentity && id <= objects.SecuritySecretKey {
				written++
			}
		}
		if written != 3 {
			t.Errorf("%d of the 3 mandatory keys are written", written)
		}
	})
	t.Run("Server", func(t *testing.T) {
		roundTrip(t, objects.ServerID, objects.Server{
			ShortID: 101, Lifetime: 300, MinPeriod: new(int64(1)), MaxPeriod: new(int64(60)),
			DisableTimeout: new(int64(9)), Storing: true, Binding: "U", Alert: new(uint8(42)),
			LastBootstrapped: when, MuteSend: new(false), NotificationMode: new(int8(1)),
		}, objects.DecodeServer)
	})
	t.Run("AccessControl", func(t *testing.T) {
		roundTrip(t, objects.AccessControlID, objects.AccessControl{
			Object: 3, Instance: lwm2m.NoID, Owner: lwm2m.NoID,
			List: map[uint16]objects.Rights{0: objects.RightRead, 101: objects.RightRead | objects.RightCreate},
		}, objects.DecodeAccessControl)
	})
	t.Run("Device", func(t *testing.T) {
		roundTrip(t, objects.DeviceID, objects.Device{
			Manufacturer: "Open Mobile Alliance", Model: "Lightweight M2M Client", Serial: "345000123", Firmware: "1.0",
			PowerSources: map[uint16]int64{0: 1, 1: 5}, Voltage: map[uint16]int64{0: 3800, 1: 5000},
			Current: map[uint16]int64{0: 125, 1: 900}, BatteryLevel: new(int64(0)), MemoryFree: new(int64(15)),
			ErrorCodes: map[uint16]int64{0: 0}, Time: when, UTCOffset: "+02:00", Timezone: "Europe/Paris", Bindings: "U",
			Type: "sensor", Hardware: "1", Software: "2", BatteryStatus: new(int64(1)), MemoryTotal: new(int64(64)),
			ExtInfo: map[uint16]objects.Link{0: {Object: 4, Instance: 0}},
		}, objects.DecodeDevice)
	})
	t.Run("Connectivity", func(t *testing.T) {
		roundTrip(t, objects.ConnectivityID, objects.Connectivity{
			Bearer: 21, Available: map[uint16]int64{0: 21}, Signal: -92, Quality: new(int64(2)),
			Addresses: map[uint16]string{0: "192.0.2.1"}, Routers: map[uint16]string{0: "192.0.2.254"},
			Utilisation: new(int64(5)), APN: map[uint16]string{0: "internet"}, Cell: new(int64(1)),
			Network: new(int64(2)), Country: new(int64(3)), SNR: new(int64(-4)), LAC: new(int64(5)), Coverage: new(int64(0)),
		}, objects.DecodeConnectivity)
	})
	t.Run("Firmware", func(t *testing.T) {
		roundTrip(t, objects.FirmwareID, objects.Firmware{
			URI: "coaps://127.0.0.11/update", State: objects.FirmwareDownloaded, Result: objects.FirmwareSuccess,
			Name: "app", Version: "2", Protocols: map[uint16]objects.FirmwareProtocol{0: objects.ProtocolCoAPS},
			Delivery: objects.DeliveryBoth, Severity: new(uint8(1)), LastChange: when, MaxDefer: new(uint32(60)),
			Automatic: new(true),
		}, objects.DecodeFirmware)
	})
	t.Run("AdvancedFirmware", func(t *testing.T) {
		roundTrip(t, objects.AdvancedFirmwareID, objects.AdvancedFirmware{
			Firmware: objects.Firmware{
				State: objects.FirmwareIdle, Result: objects.FirmwareConflict, Delivery: objects.DeliveryPush,
				Protocols: map[uint16]objects.FirmwareProtocol{0: objects.ProtocolCoAPS, 1: objects.ProtocolHTTPS},
				MaxDefer:  new(uint32(60)), LastChange: when,
			},
			Component: "modem", Current: "1.2", Linked: map[uint16]objects.Link{0: {Object: 33629, Instance: 2}},
			Conflicting: map[uint16]objects.Link{0: {Object: 33629, Instance: 3}},
		}, objects.DecodeAdvancedFirmware)
	})
	t.Run("Metadata", func(t *testing.T) {
		roundTrip(t, objects.MetadataID, objects.Metadata{
			Protocol: 1, Bootloader: []byte{1}, OEM: []byte{2}, Vendor: "v", Class: "c", Device: "d",
		}, objects.DecodeMetadata)
	})
	t.Run("AppData", func(t *testing.T) {
		roundTrip(t, objects.AppDataID, objects.AppData{
			Data: map[uint16][]byte{0: {1}, 2: {3}}, Priority: new(int64(0)), Created: when, Description: "report",
			Format: "suit-report", App: new(int64(7)),
		}, objects.DecodeAppData)
	})
	t.Run("Anchor", func(t *testing.T) {
		roundTrip(t, objects.DefaultIDs.Truststore, objects.Anchor{
			Certificate: []byte{0x30}, Format: objects.FormatC509, Purposes: 1 << 8,
		}, objects.DecodeAnchor)
	})
	t.Run("Truststore", func(t *testing.T) {
		roundTrip(t, objects.DefaultIDs.Truststore, objects.Truststore{
			Anchor: objects.Anchor{Certificate: []byte{0x30}, Purposes: 3}, Domain: 2, Thumbprint: []byte{9}, NotAfter: when,
		}, objects.DecodeTruststore)
	})
	t.Run("Enrolment", func(t *testing.T) {
		roundTrip(t, objects.DefaultIDs.Enrolment, objects.Enrolment{
			URI: "coaps://127.0.0.11/est", CSRFormat: objects.FormatX509, State: 1, Error: -1, Thumbprint: []byte{7},
			NotAfter: when, RenewBefore: new(uint64(86400)), KeyOrigin: new(int64(0)), PermanentURI: "coaps://127.0.0.10/est",
		}, objects.DecodeEnrolment)
	})
	t.Run("Transfer", func(t *testing.T) {
		roundTrip(t, objects.DefaultIDs.Transfer, objects.Transfer{
			State: 1, Error: 2, Epoch: 3, Earliest: when, Latest: when, MessageHash: []byte{4}, Receipt: []byte{5},
			Attempts: new(uint64(6)),
		}, objects.DecodeTransfer)
	})
}

func TestDecodeRefuses(t *testing.T) {
	device := objects.Device{ErrorCodes: map[uint16]int64{0: 0}, Bindings: "U"}.Entries(base)
	with := func(v lwm2m.Value, ids ...uint16) []lwm2m.Entry {
		p := base
		for _, id := range ids {
			p = p.Child(id)
		}
		return append(slices.Clip(device), lwm2m.Entry{Path: p, Value: v})
	}
	tests := []struct {
		name    string
		base    lwm2m.Path
		entries []lwm2m.Entry
		err     error
	}{
		{"nothing", base, nil, objects.ErrMissing},
		{"multiple resource missing", base, device[1:], objects.ErrMissing},
		{"text for a number", base, with(lwm2m.String("full"), objects.DeviceBatteryLevel), objects.ErrType},
		{"number for text", base, with(lwm2m.Integer(1), objects.DeviceModel), objects.ErrType},
		{"fraction for an integer", base, with(lwm2m.Float(1.5), objects.DeviceMemoryFree), objects.ErrType},
		{"no value", base, with(lwm2m.Value{}, objects.DeviceModel), objects.ErrType},
		{"number in an instance", base, with(lwm2m.String("x"), objects.DeviceVoltage, 0), objects.ErrType},
		{"instance of a single resource", base, with(lwm2m.String("x"), objects.DeviceModel, 0), objects.ErrShape},
		{"multiple resource without instance", base, with(lwm2m.Integer(1), objects.DeviceVoltage), objects.ErrShape},
		{"object instead of instance", lwm2m.NewPath(3), device, lwm2m.ErrPath},
	}
	for _, tt := range tests {
		if _, err := objects.DecodeDevice(tt.base, tt.entries); !errors.Is(err, tt.err) {
			t.Errorf("%s: DecodeDevice = %v, want %v", tt.name, err, tt.err)
		}
	}
	server := objects.Server{ShortID: 1, Binding: "U"}.Entries(base)
	server[0].Value = lwm2m.Integer(70000)
	if _, err := objects.DecodeServer(base, server); !errors.Is(err, objects.ErrType) {
		t.Errorf("DecodeServer with short id 70000 = %v, want ErrType", err)
	}
	transfer := objects.Transfer{}.Entries(base)
	transfer[2].Value = lwm2m.Unsigned(1 << 32)
	if _, err := objects.DecodeTransfer(base, transfer); !errors.Is(err, objects.ErrType) {
		t.Errorf("DecodeTransfer with epoch 2^32 = %v, want ErrType", err)
	}
}

// A decoder without a schema cannot tell signed from unsigned, nor a time from
// a number: the lossless conversions of lwm2m.Value apply.
func TestDecodeConverts(t *testing.T) {
	entries := []lwm2m.Entry{
		{Path: base.Child(objects.TransferState), Value: lwm2m.Unsigned(1)},
		{Path: base.Child(objects.TransferError), Value: lwm2m.Float(0)},
		{Path: base.Child(objects.TransferEpoch), Value: lwm2m.Integer(3)},
		{Path: base.Child(objects.TransferLatest), Value: lwm2m.Integer(when.Unix())},
	}
	want := objects.Transfer{State: 1, Epoch: 3, Latest: when}
	if got, err := objects.DecodeTransfer(base, entries); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("DecodeTransfer = %+v, %v, want %+v", got, err, want)
	}
}

func TestIDsValidate(t *testing.T) {
	own := objects.IDs{Truststore: 32800, Enrolment: 32801, Transfer: 32802}
	tests := []struct {
		name string
		ids  objects.IDs
		test bool
		err  error
	}{
		{"own range", own, false, nil},
		{"defaults in a test", objects.DefaultIDs, true, nil},
		{"defaults in production", objects.DefaultIDs, false, objects.ErrIDs},
		{"one of the test range", objects.IDs{Truststore: 32800, Enrolment: 32801, Transfer: 42800}, false, objects.ErrIDs},
		{"zero", objects.IDs{}, true, objects.ErrIDs},
		{"core object", objects.IDs{Truststore: 32800, Enrolment: 5, Transfer: 32802}, true, objects.ErrIDs},
		{"twice", objects.IDs{Truststore: 32800, Enrolment: 32801, Transfer: 32800}, true, objects.ErrIDs},
		{"reserved", objects.IDs{Truststore: lwm2m.NoID, Enrolment: 32801, Transfer: 32800}, true, objects.ErrIDs},
	}
	for _, tt := range tests {
		if err := tt.ids.Validate(tt.test); !errors.Is(err, tt.err) {
			t.Errorf("%s: Validate(%v) = %v, want %v", tt.name, tt.test, err, tt.err)
		}
	}
}

func TestDefinitions(t *testing.T) {
	r := registry.Default().With(objects.Definitions(objects.IDs{Truststore: 40001, Enrolment: 40002, Transfer: 40003})...)
	tests := []struct {
		object, resource uint16
		name, letters    string
		kind             lwm2m.Kind
	}{
		{40001, objects.TruststoreCertificate, "Certificate", "RW", lwm2m.KindOpaque},
		{40001, objects.TruststoreDomain, "Domain", "R", lwm2m.KindInteger},
		{40001, objects.TruststoreCommand, "Command", "W", lwm2m.KindOpaque},
		{40002, objects.EnrolmentEnrol, "Enrol", "E", lwm2m.KindNone},
		{40003, objects.TransferMessage, "Message", "W", lwm2m.KindOpaque},
		{40003, objects.TransferReceipt, "Receipt", "R", lwm2m.KindOpaque},
	}
	for _, tt := range tests {
		o, _ := r.Object(tt.object)
		got, ok := o.Resource(tt.resource)
		if !ok || got.Name != tt.name || got.Letters() != tt.letters || got.Kind != tt.kind {
			t.Errorf("resource %d/%d = %+v, %v, want %+v", tt.object, tt.resource, got, ok, tt)
		}
	}
}

func TestWords(t *testing.T) {
	tests := []struct{ got, want string }{
		{objects.FirmwareDownloading.String(), "downloading"},
		{objects.FirmwareState(9).String(), "(9)"},
		{objects.FirmwareIntegrity.String(), "integrity check failed"},
		{objects.DeliveryBoth.String(), "pull or push"},
		{objects.ProtocolCoAPS.String(), "coaps"},
		{objects.FormatC509.String(), "C509"},
		{objects.ModeEST.String(), "certificate by EST"},
	}
	for _, tt := range tests {
		if tt.got != tt.want {
			t.Errorf("String() = %q, want %q", tt.got, tt.want)
		}
	}
}

func TestSecurityLogValue(t *testing.T) {
	s := objects.Security{URI: "coaps://h", Identity: []byte("me"), SecretKey: []byte("secret")}
	for _, a := range s.LogValue().Group() {
		if a.Key == "secret_key" || a.Value.String() == "secret" {
			t.Errorf("LogValue has %v", a)
		}
	}
}
