package config

import (
	"fmt"
	"net/netip"
)

// maxWebhookNets bounds a list that is looked through for each connection.
const maxWebhookNets = 64

// webhooks takes over how often callers may ask, and which networks webhooks may reach beside public addresses.
func (c *Config) webhooks(o Options) error {
	c.RESTRate = o.RESTRate
	if len(o.WebhookNets) > maxWebhookNets {
		return fmt.Errorf("%w: webhook-nets: at most %d", ErrConfig, maxWebhookNets)
	}
	for _, text := range o.WebhookNets {
		p, err := netip.ParsePrefix(text)
		if err != nil || p != p.Masked() || p.Addr().Is4In6() {
			return fmt.Errorf("%w: webhook-nets: %.60q; a network such as 10.1.0.0/16", ErrConfig, text)
		}
		c.WebhookNets = append(c.WebhookNets, p)
	}
	return nil
}
