package web

import (
	"context"
	"io"
	"time"
)

// Upkeep is what keeps the provider itself in order.
type Upkeep interface {
	// Backup puts a backup together. Who asked writes it somewhere and closes it. It
	// returns ErrConflict while another is being made.
	Backup(ctx context.Context, by Actor) (BackupFile, error)
	// Restoration returns what the last restore from a backup did, and what is left to
	// decide about.
	Restoration(ctx context.Context) (Restoration, error)
	// ListRestoredRights returns the rights that a restore closed and nobody decided about.
	ListRestoredRights(ctx context.Context, p Page) (List[RestoredRight], error)
	// Reconcile decides about them. It returns ErrConflict where nothing was restored.
	Reconcile(ctx context.Context, by Actor, c Reconciliation) (Restoration, error)
	// LogLevel returns what is logged: debug, info, warn or error.
	LogLevel(ctx context.Context) (LogLevel, error)
	// SetLogLevel changes that until the next start.
	SetLogLevel(ctx context.Context, by Actor, l LogLevel) (LogLevel, error)
}

// A BackupFile is a backup that was put together and is to be written.
type BackupFile interface {
	io.WriterTo
	io.Closer
}

// BackupType is the media type of backups.
const BackupType = "application/x-tar"

// A Restoration is what a restore from a backup did.
type Restoration struct {
	Restored bool      `json:"restored"` // false: there was none, or people are done with it
	At       time.Time `json:"at,omitzero"`
	TakenAt  time.Time `json:"taken_at,omitzero"` // when the backup was made
	// RightsClosed are the rights to enrol that it closed, RightsWaiting those of them
	// that nobody decided about yet.
	RightsClosed        int `json:"rights_closed"`
	RightsWaiting       int `json:"rights_waiting"`
	OperationsCancelled int `json:"operations_cancelled"`
	SessionsEnded       int `json:"sessions_ended"`
	// What was under way when the backup was made, and is again.
	Tokens            int `json:"tokens"`
	CampaignsUnderWay int `json:"campaigns_under_way"`
	TransfersUnderWay int `json:"transfers_under_way"`
}

// A RestoredRight is a right to enrol that a restore closed.
type RestoredRight struct {
	Factory  string `json:"factory"` // hexadecimal SHA-256 of the factory certificate
	Endpoint string `json:"endpoint"`
}

// A ReconcileAction is what people decide about rights that a restore closed.
type ReconcileAction string

// The actions.
const (
	ReconcileOpen ReconcileAction = "open" // open them again, for the keys that they were bound to
	ReconcileEnd  ReconcileAction = "end"  // be done with it: what is closed stays so
)

// A Reconciliation is such a decision.
type Reconciliation struct {
	Action    ReconcileAction `json:"action"`
	Factories []string        `json:"factories,omitempty"` // of the rights to be opened
	All       bool            `json:"all,omitempty"`       // all that wait
	Reason    string          `json:"reason,omitempty"`    // in words
}

// A LogLevel is the least that is logged.
type LogLevel struct {
	Level string `json:"level"` // debug, info, warn, error
}

// Backup implements Upkeep.
func (missing) Backup(context.Context, Actor) (BackupFile, error) { return nil, ErrNotBuilt }

// Restoration implements Upkeep.
func (missing) Restoration(context.Context) (Restoration, error) { return Restoration{}, ErrNotBuilt }

// ListRestoredRights implements Upkeep.
func (missing) ListRestoredRights(context.Context, Page) (List[RestoredRight], error) {
	return List[RestoredRight]{}, ErrNotBuilt
}

// Reconcile implements Upkeep.
func (missing) Reconcile(context.Context, Actor, Reconciliation) (Restoration, error) {
	return Restoration{}, ErrNotBuilt
}

// LogLevel implements Upkeep.
func (missing) LogLevel(context.Context) (LogLevel, error) { return LogLevel{}, ErrNotBuilt }

// SetLogLevel implements Upkeep.
func (missing) SetLogLevel(context.Context, Actor, LogLevel) (LogLevel, error) {
	return LogLevel{}, ErrNotBuilt
}
