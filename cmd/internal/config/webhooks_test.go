package config_test

import (
	"errors"
	"testing"

	"steward/cmd/internal/config"
)

func TestWebhookNets(t *testing.T) {
	o := config.Default()
	o.WebhookNets = []string{"10.1.0.0/16", "fd00::/8", "127.0.0.1/32"}
	c, err := config.New(o)
	if err != nil || len(c.WebhookNets) != 3 {
		t.Fatalf("New = %v, %v", c.WebhookNets, err)
	}
	for _, bad := range []string{"", "10.1.0.0", "10.1.2.3/16", "example.com", "::ffff:10.0.0.0/104"} {
		o.WebhookNets = []string{bad}
		if _, err := config.New(o); !errors.Is(err, config.ErrConfig) {
			t.Errorf("New with %q = %v", bad, err)
		}
	}
	o.WebhookNets = make([]string, 65)
	if _, err := config.New(o); !errors.Is(err, config.ErrConfig) {
		t.Errorf("New with too many = %v", err)
	}
}
