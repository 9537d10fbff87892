package objects

import (
	"time"

	"steward/lwm2m"
)

// AppDataID is the object id of BinaryAppDataContainer (urn:oma:lwm2m:oma:19), by
// which devices send what has no object of its own, such as SUIT reports.
const AppDataID = 19

// Resources of BinaryAppDataContainer.
const (
	AppDataData        = 0
	AppDataPriority    = 1
	AppDataCreated     = 2
	AppDataDescription = 3
	AppDataFormat      = 4
	AppDataApp         = 5
)

// An AppData is a container of application data.
type AppData struct {
	Data        map[uint16][]byte // mandatory
	Priority    *int64            // 0 immediate, 1 best effort, 2 latest
	Created     time.Time
	Description string // at most 32 bytes
	Format      string // at most 32 bytes
	App         *int64 // id of the application
}

func (d *AppData) fields() []field {
	return []field{
		required(multiple(AppDataData, &d.Data, bytes())),
		optional(AppDataPriority, &d.Priority, integer[int64]()),
		nonzero(AppDataCreated, &d.Created, moment()),
		nonzero(AppDataDescription, &d.Description, text()),
		nonzero(AppDataFormat, &d.Format, text()),
		optional(AppDataApp, &d.App, integer[int64]()),
	}
}

// DecodeAppData reads the instance at base.
func DecodeAppData(base lwm2m.Path, entries []lwm2m.Entry) (AppData, error) {
	return decode(base, entries, (*AppData).fields)
}

// Entries returns d as the instance at base.
func (d AppData) Entries(base lwm2m.Path) []lwm2m.Entry { return encode(base, d.fields()) }
