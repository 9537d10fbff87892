package web

import (
	"context"
	"time"
)

// Webhooks are those who are told by HTTP what happens.
type Webhooks interface {
	// ListWebhooks returns all, in order of names.
	ListWebhooks(ctx context.Context) ([]Webhook, error)
	// Webhook returns one.
	Webhook(ctx context.Context, id string) (Webhook, error)
	// AddWebhook makes one that is told what happens from now on. Nobody can ask for its
	// secret again.
	AddWebhook(ctx context.Context, by Actor, n NewWebhook) (MadeWebhook, error)
	// EditWebhook replaces what people say of one.
	EditWebhook(ctx context.Context, by Actor, id string, n NewWebhook) (Webhook, error)
	// RemoveWebhook deletes one with its letters.
	RemoveWebhook(ctx context.Context, by Actor, id string) error
	// CommandWebhook pauses or resumes one, or gives it another secret.
	CommandWebhook(ctx context.Context, by Actor, id string, c WebhookCommand) (MadeWebhook, error)
	// WebhookLetters returns what could not be told to one, in order of events.
	WebhookLetters(ctx context.Context, id string, p Page) (List[WebhookLetter], error)
	// RedeliverLetter has a letter sent anew.
	RedeliverLetter(ctx context.Context, by Actor, id, letter string) (WebhookLetter, error)
}

// A NewWebhook is what people say of a webhook.
type NewWebhook struct {
	Name string `json:"name"`
	URL  string `json:"url"`
	Mode string `json:"mode,omitempty"` // structured (""), binary
	// Types are beginnings of types of events; none: all but values of devices.
	Types   Array[string] `json:"types,omitempty"`
	Subject string        `json:"subject,omitempty"` // id of a device, campaign or transfer; "": all
}

// A Webhook is somebody who is told by HTTP what happens.
type Webhook struct {
	ID           string        `json:"id"`
	Name         string        `json:"name"`
	URL          string        `json:"url"`
	Mode         string        `json:"mode"`
	Types        Array[string] `json:"types"`
	Subject      string        `json:"subject,omitempty"`
	State        string        `json:"state"` // active, failing, paused, disabled
	Level        Level         `json:"level"`
	Attempt      int           `json:"attempt"`          // failures of the next event
	NextAt       time.Time     `json:"next_at,omitzero"` // of the next attempt
	FailingSince time.Time     `json:"failing_since,omitzero"`
	Status       int           `json:"status,omitempty"` // of the last answer
	Words        string        `json:"words,omitempty"`  // why the last attempt failed
	LastAt       time.Time     `json:"last_at,omitzero"`
	CreatedAt    time.Time     `json:"created_at"`
	CreatedBy    string        `json:"created_by"`
}

// A MadeWebhook is a webhook with its secret, which is shown once.
type MadeWebhook struct {
	Webhook

	Secret string `json:"secret,omitempty"` // "": it stays as it was
}

// A WebhookAction is what a person may tell a webhook.
type WebhookAction string

// The actions.
const (
	WebhookPause  WebhookAction = "pause"
	WebhookResume WebhookAction = "resume"
	WebhookRenew  WebhookAction = "renew_secret"
)

// A WebhookCommand is an action.
type WebhookCommand struct {
	Action WebhookAction `json:"action"`
}

// A WebhookLetter is an event that could not be told to a webhook.
type WebhookLetter struct {
	ID      string    `json:"id"` // of the event
	At      time.Time `json:"at"`
	Type    string    `json:"type"`
	Subject string    `json:"subject,omitempty"`
	State   string    `json:"state"` // dead, requested, sent
	Level   Level     `json:"level"`
	Words   string    `json:"words,omitempty"` // why
	Tries   int       `json:"tries"`
}
