package web

import (
	"context"
	"time"

	"steward/lwm2m"
)

// Devices reads the inventory and the values last heard.
type Devices interface {
	// ListDevices returns the devices that match, in order of their endpoints.
	ListDevices(ctx context.Context, f DeviceFilter, p Page) (List[Device], error)
	// Device returns one. Its id is the local one or "ep:" and the endpoint.
	Device(ctx context.Context, id string) (DeviceDetail, error)
	// Values returns the values last heard at and below path, without asking the
	// device, in order of their paths. None is no error.
	Values(ctx context.Context, id string, path lwm2m.Path) ([]Value, error)
	// ChangeTags adds tags to a device and takes others off. What goes by tags, such as
	// templates of observations, follows at once.
	ChangeTags(ctx context.Context, by Actor, id string, c TagChange) (Device, error)
	// RetireDevice ends all that a device has here: its right to enrol and its keys are
	// deleted, its certificates revoked, its sessions ended. What it did stays. Another
	// device may take its place. It returns ErrConflict for one that is not ours, or is
	// being handed over.
	RetireDevice(ctx context.Context, by Actor, id string, r Retirement) (Device, error)
	// EraseDevice removes a device that left, with all that it sent, was asked and was
	// given. Its certificates, hand-overs and audit rows stay. endpoint is its name, to
	// confirm. It returns ErrConflict for one that is ours or busy.
	EraseDevice(ctx context.Context, by Actor, id, endpoint, why string) error
}

// A Retirement says why a device ends here, and what comes of its place.
type Retirement struct {
	Reason string `json:"reason"` // needed
	// Replacement is the device, by its id or "ep:" and its endpoint, that gets what was
	// wanted of the other: tags, groups, observations, and its place in campaigns that
	// have not begun with it. "": none.
	Replacement string `json:"replacement,omitempty"`
	// Erase has the device told first to erase its data and sign that, if it has object
	// Transfer, and to go back to the state of delivery (Core, object Device, resource 5).
	// One that cannot be reached, or does not know how, is retired
	// all the same; the audit says which.
	Erase bool `json:"erase,omitempty"`
}

// A CustodyHop is a device's way from one provider to the next.
type CustodyHop struct {
	Transfer string    `json:"transfer"`
	From     string    `json:"from"`
	To       string    `json:"to"`
	State    string    `json:"state"` // as the row's table names it
	Level    Level     `json:"level"`
	Inferred bool      `json:"inferred"` // not known by a receipt
	At       time.Time `json:"at"`
}

// A DeviceName is another device, on the page of one.
type DeviceName struct {
	ID       string `json:"id"`
	Endpoint string `json:"endpoint"`
}

// A TagChange adds tags and takes others off.
type TagChange struct {
	Add    Array[string] `json:"add,omitempty"`
	Remove Array[string] `json:"remove,omitempty"`
	Reason string        `json:"reason,omitempty"`
}

// A DeviceState says how a device stands to this provider now.
type DeviceState string

// The states of a device.
const (
	DeviceExpected DeviceState = "expected" // announced, never seen
	DeviceOnline   DeviceState = "online"   // registered, lifetime not over
	DeviceOffline  DeviceState = "offline"  // ours, not registered
	DeviceLeft     DeviceState = "left"     // handed over to another provider
)

// A Device is one line of the inventory.
type Device struct {
	ID           string        `json:"id"`
	Endpoint     string        `json:"endpoint"`
	State        DeviceState   `json:"state"`
	Factory      string        `json:"factory,omitempty"` // hex SHA-256 of the factory certificate
	Security     string        `json:"security"`          // operational, psk, rawkey, nosec; "" when never seen
	Version      string        `json:"lwm2m_version,omitempty"`
	Firmware     string        `json:"firmware,omitempty"` // version last reported
	Manufacturer string        `json:"manufacturer,omitempty"`
	Model        string        `json:"model,omitempty"`
	Tags         Array[string] `json:"tags"`
	LastSeen     time.Time     `json:"last_seen,omitzero"` // zero: never
	CreatedAt    time.Time     `json:"created_at"`
}

// A DeviceDetail is all that is known of one device but its values.
type DeviceDetail struct {
	Device

	Registration *Registration      `json:"registration,omitempty"` // nil: not registered
	Certificates Array[Certificate] `json:"certificates"`           // newest first
	Objects      Array[ObjectNode]  `json:"objects"`                // as of the last registration
	Transfers    Array[string]      `json:"transfers"`              // ids, newest first
	KeyOrigin    string             `json:"key_origin,omitempty"`   // who made the factory key; "" for not known
	Epoch        uint32             `json:"epoch"`                  // hand-overs that the device accepted
	Behind       Array[EndDevice]   `json:"behind"`                 // devices behind it, if it is a gateway
	Custody      Array[CustodyHop]  `json:"custody"`                // who has had it, as known here, oldest first
	Replaces     Array[DeviceName]  `json:"replaces"`               // whose place it has taken, the last first
	ReplacedBy   *DeviceName        `json:"replaced_by,omitempty"`  // what has taken its place
	Erasure      *DeviceErasure     `json:"erasure,omitempty"`      // when it was retired; nil: it was told nothing
}

// A DeviceErasure is what came of telling a device that was retired to erase itself.
type DeviceErasure struct {
	At    time.Time `json:"at"`
	Level string    `json:"level"`
	Said  string    `json:"said"` // in words
	// Record is the device's signed receipt with its certificates
	// (transfer.RetirementRecord); nil: it has signed nothing.
	Record []byte `json:"record,omitempty"`
}

// How far it is known that a device has erased itself.
const (
	ErasureKnown    = "known"    // by its receipt, signed with the factory key and the operational one
	ErasureInferred = "inferred" // it answered that it does
	ErasureNot      = "not"
)

// An EndDevice is a device behind a gateway, as the gateway lists it in object 25. What
// it has is addressed below its prefix: /d01/3/0/0.
type EndDevice struct {
	ID      string            `json:"device_id"`
	Prefix  string            `json:"prefix"`
	Objects Array[lwm2m.Path] `json:"objects"`           // objects and instances, with the prefix
	Problem string            `json:"problem,omitempty"` // why it cannot be addressed
}

// A Registration is what a device said when it registered.
type Registration struct {
	Location  string        `json:"location"`
	Address   string        `json:"address"`
	Transport string        `json:"transport,omitempty"` // scheme of the association that is open, "" for none
	Lifetime  time.Duration `json:"-"`
	Seconds   int64         `json:"lifetime_seconds"`
	Binding   string        `json:"binding"`
	Queue     bool          `json:"queue_mode"`
	Asleep    bool          `json:"asleep"`            // in queue mode, and does not listen now
	WakesAt   time.Time     `json:"wakes_at,omitzero"` // in queue mode: when its next message is expected
	Since     time.Time     `json:"since"`
	ExpiresAt time.Time     `json:"expires_at,omitzero"` // zero: never
}

// An ObjectNode is one object that a device has.
type ObjectNode struct {
	ID        uint16        `json:"id"`
	Name      string        `json:"name"` // "" when the registry does not know it
	Version   string        `json:"version,omitempty"`
	Instances Array[uint16] `json:"instances"`
}

// A Value is one leaf value with what people need beside it.
type Value struct {
	Path     lwm2m.Path
	Name     string // of the resource; "" when unknown
	Value    lwm2m.Value
	Units    string
	At       time.Time // when it was heard; zero: unknown
	Observed bool      // the server keeps observing it
}

// An OperationKind is what is asked of a device.
type OperationKind string

// The operations of LwM2M that people and programs can ask for.
const (
	OpRead          OperationKind = "read"
	OpWrite         OperationKind = "write"  // replace
	OpUpdate        OperationKind = "update" // partial write
	OpExecute       OperationKind = "execute"
	OpCreate        OperationKind = "create"
	OpDelete        OperationKind = "delete"
	OpDiscover      OperationKind = "discover"
	OpObserve       OperationKind = "observe" // and keep observing over registrations
	OpCancelObserve OperationKind = "cancel_observe"

	OpWriteAttributes  OperationKind = "write_attributes"
	OpReadComposite    OperationKind = "read_composite"
	OpWriteComposite   OperationKind = "write_composite"
	OpObserveComposite OperationKind = "observe_composite" // and keep observing over registrations
	OpCancelComposite  OperationKind = "cancel_composite"  // by the same list
)

// MaxTTL is how long an operation may wait for its device at most.
const MaxTTL = 90 * 24 * time.Hour

// An Operation is one request to a device.
type Operation struct {
	Kind      OperationKind
	Path      lwm2m.Path
	Entries   []lwm2m.Entry // write, update, create: the new values, at or below Path; write_composite: anywhere
	Arguments string        // execute; may be empty

	Paths      []lwm2m.Path // composite operations but writing: the nodes, in order; Path is the root
	Attributes []string     // write_attributes, observe, observe_composite: "pmin=10", or "pmin" to unset it
	Depth      *int         // discover: levels below Path; nil leaves it to the device
	Async      bool         `json:"-"` // the operation goes on when who asked waits no longer

	TTL time.Duration `json:"-"` // when it is not tried any more; 0: after a day or twice the device's lifetime
}

// An Outcome is what a device answered.
type Outcome struct {
	Values []Value // read, observe, and their composite kinds
	Links  string  // discover: link-format
	Path   string  // create: the path of the new instance
	// Pending is the operation while it waits or is under way; nil: it is done, and the
	// rest counts.
	Pending *DeviceOperation `json:"-"`
}
