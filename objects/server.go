package objects

import (
	"time"

	"steward/lwm2m"
)

// ServerID is the object id of LwM2M Server (Core 1.2.2 §E.2).
const ServerID = 1

// Resources of LwM2M Server.
const (
	ServerShortID          = 0
	ServerLifetime         = 1
	ServerMinPeriod        = 2
	ServerMaxPeriod        = 3
	ServerDisable          = 4
	ServerDisableTimeout   = 5
	ServerStoring          = 6
	ServerBinding          = 7
	ServerUpdateTrigger    = 8
	ServerBootstrapTrigger = 9
	ServerAlert            = 11
	ServerLastBootstrapped = 12
	ServerMuteSend         = 23
	ServerNotificationMode = 26
)

// Server is an instance of LwM2M Server: how a client deals with one server.
type Server struct {
	ShortID          uint16
	Lifetime         int64  // of the registration, in seconds; 0 is infinite
	MinPeriod        *int64 // default pmin, in seconds
	MaxPeriod        *int64 // default pmax, in seconds
	DisableTimeout   *int64 // in seconds; nil: 86400
	Storing          bool   // notifications while the server cannot be reached
	Binding          string // "U" for UDP
	Alert            *uint8 // last DTLS or TLS alert
	LastBootstrapped time.Time
	MuteSend         *bool // nil: muted, as if true
	NotificationMode *int8 // 0 non-confirmable, 1 confirmable; nil: the client's choice
}

func (s *Server) fields() []field {
	return []field{
		single(ServerShortID, &s.ShortID, integer[uint16]()),
		single(ServerLifetime, &s.Lifetime, integer[int64]()),
		optional(ServerMinPeriod, &s.MinPeriod, integer[int64]()),
		optional(ServerMaxPeriod, &s.MaxPeriod, integer[int64]()),
		optional(ServerDisableTimeout, &s.DisableTimeout, integer[int64]()),
		single(ServerStoring, &s.Storing, boolean()),
		single(ServerBinding, &s.Binding, text()),
		optional(ServerAlert, &s.Alert, unsigned[uint8]()),
		nonzero(ServerLastBootstrapped, &s.LastBootstrapped, moment()),
		optional(ServerMuteSend, &s.MuteSend, boolean()),
		optional(ServerNotificationMode, &s.NotificationMode, integer[int8]()),
	}
}

// DecodeServer reads the instance at base.
func DecodeServer(base lwm2m.Path, entries []lwm2m.Entry) (Server, error) {
	return decode(base, entries, (*Server).fields)
}

// Entries returns s as the instance at base.
func (s Server) Entries(base lwm2m.Path) []lwm2m.Entry { return encode(base, s.fields()) }
