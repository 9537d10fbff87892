package objects

import "steward/lwm2m"

// MetadataID is the object id of Device Metadata (urn:oma:lwm2m:x:10255): what
// manifests call the device.
const MetadataID = 10255

// Resources of Device Metadata.
const (
	MetadataProtocol   = 0
	MetadataBootloader = 1
	MetadataOEM        = 2
	MetadataVendor     = 3
	MetadataClass      = 4
	MetadataDevice     = 5
)

// Metadata is what a device says it is. Vendor, Class and Device are UUIDs, as
// text; the object does not say in which form.
type Metadata struct {
	Protocol   int64  // version of the manifests that are supported
	Bootloader []byte // hash; nil: not said
	OEM        []byte // hash of the OEM's bootloader; nil: not said
	Vendor     string
	Class      string
	Device     string
}

func (m *Metadata) fields() []field {
	return []field{
		nonzero(MetadataProtocol, &m.Protocol, integer[int64]()),
		opaque(MetadataBootloader, &m.Bootloader),
		opaque(MetadataOEM, &m.OEM),
		nonzero(MetadataVendor, &m.Vendor, text()),
		nonzero(MetadataClass, &m.Class, text()),
		nonzero(MetadataDevice, &m.Device, text()),
	}
}

// DecodeMetadata reads the instance at base.
func DecodeMetadata(base lwm2m.Path, entries []lwm2m.Entry) (Metadata, error) {
	return decode(base, entries, (*Metadata).fields)
}

// Entries returns m as the instance at base.
func (m Metadata) Entries(base lwm2m.Path) []lwm2m.Entry { return encode(base, m.fields()) }
