package objects

import "steward/lwm2m"

// ConnectivityID is the object id of Connectivity Monitoring (Core 1.2.2 §E.5).
const ConnectivityID = 4

// Resources of Connectivity Monitoring.
const (
	ConnectivityBearer      = 0
	ConnectivityAvailable   = 1
	ConnectivitySignal      = 2
	ConnectivityQuality     = 3
	ConnectivityAddresses   = 4
	ConnectivityRouters     = 5
	ConnectivityUtilisation = 6
	ConnectivityAPN         = 7
	ConnectivityCell        = 8
	ConnectivityNetwork     = 9
	ConnectivityCountry     = 10
	ConnectivitySNR         = 11
	ConnectivityLAC         = 12
	ConnectivityCoverage    = 13
)

// Connectivity is the object about the device's network.
type Connectivity struct {
	Bearer      int64            // 0 GSM, 6 LTE-FDD, 7 NB-IoT, 21 WLAN, 41 Ethernet …
	Available   map[uint16]int64 // bearers; mandatory
	Signal      int64            // dBm
	Quality     *int64
	Addresses   map[uint16]string // of the device; mandatory
	Routers     map[uint16]string
	Utilisation *int64 // percent
	APN         map[uint16]string
	Cell        *int64
	Network     *int64 // mobile network code of the serving network
	Country     *int64 // mobile country code of the serving network
	SNR         *int64 // dB
	LAC         *int64 // location area code
	Coverage    *int64 // coverage enhancement level, 0..4
}

func (c *Connectivity) fields() []field {
	return []field{
		single(ConnectivityBearer, &c.Bearer, integer[int64]()),
		required(multiple(ConnectivityAvailable, &c.Available, integer[int64]())),
		single(ConnectivitySignal, &c.Signal, integer[int64]()),
		optional(ConnectivityQuality, &c.Quality, integer[int64]()),
		required(multiple(ConnectivityAddresses, &c.Addresses, text())),
		multiple(ConnectivityRouters, &c.Routers, text()),
		optional(ConnectivityUtilisation, &c.Utilisation, integer[int64]()),
		multiple(ConnectivityAPN, &c.APN, text()),
		optional(ConnectivityCell, &c.Cell, integer[int64]()),
		optional(ConnectivityNetwork, &c.Network, integer[int64]()),
		optional(ConnectivityCountry, &c.Country, integer[int64]()),
		optional(ConnectivitySNR, &c.SNR, integer[int64]()),
		optional(ConnectivityLAC, &c.LAC, integer[int64]()),
		optional(ConnectivityCoverage, &c.Coverage, integer[int64]()),
	}
}

// DecodeConnectivity reads the instance at base.
func DecodeConnectivity(base lwm2m.Path, entries []lwm2m.Entry) (Connectivity, error) {
	return decode(base, entries, (*Connectivity).fields)
}

// Entries returns c as the instance at base.
func (c Connectivity) Entries(base lwm2m.Path) []lwm2m.Entry { return encode(base, c.fields()) }
