package config

import (
	"bytes"
	"fmt"
	"os"

	"steward/lwm2m"
	"steward/lwm2m/fleet"
)

// naming takes over which names certificates stand for.
func (c *Config) naming(o Options) error {
	sources := make([]fleet.NameSource, len(o.Identity))
	for i, text := range o.Identity {
		sources[i] = fleet.NameSource(text)
	}
	var table map[string]lwm2m.Endpoint
	if o.IdentityTable != "" {
		text, err := os.ReadFile(o.IdentityTable)
		if err != nil {
			return fmt.Errorf("%w: identity-table: %w", ErrConfig, err)
		}
		if table, err = fleet.ReadNames(bytes.NewReader(text)); err != nil {
			return fmt.Errorf("%w: identity-table: %s: %w", ErrConfig, o.IdentityTable, err)
		}
	}
	var err error
	if c.Naming, err = fleet.NewNaming(sources, table); err != nil {
		return fmt.Errorf("%w: identity: %w", ErrConfig, err)
	}
	return nil
}
