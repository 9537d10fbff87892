package cli

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"

	"steward/cmd/internal/bundle"
	"steward/suit/author"
	"steward/transfer"
)

// template is what all devices of the batch share.
func (o factoryOptions) template() (bundle.Bundle, error) {
	vendor := author.VendorID(o.vendor)
	b := bundle.Bundle{
		Hardware: bundle.Hardware{
			Manufacturer: o.manufacturer, Model: o.model, Vendor: vendor.String(),
			Class: author.ClassID(vendor, o.class).String(), Components: o.components,
		},
		Firmware: bundle.Firmware{Version: o.version, Sequence: 1},
		Factory:  bundle.Factory{PermanentURI: o.permanent},
	}
	if _, err := b.ComponentIDs(); err != nil {
		return b, fmt.Errorf("%w: --component: %w", errMisused, err)
	}
	if o.owner != "" {
		text, err := os.ReadFile(o.owner)
		if err != nil {
			return b, misusedFile(err)
		}
		block, _ := pem.Decode(text)
		if block == nil || block.Type != "CERTIFICATE" {
			return b, fmt.Errorf("%w: --mandate-signer %s: no certificate in PEM", errMisused, o.owner)
		}
		b.Anchors = []bundle.Anchor{bundle.NewAnchor(block.Bytes, transfer.MandateSigner)}
	}
	if o.provider == "" {
		return b, nil
	}
	text, err := os.ReadFile(o.provider)
	if err != nil {
		return b, err
	}
	var settings struct {
		bundle.Provider
		Objects bundle.ObjectIDs `json:"objects"`
	}
	if err := json.Unmarshal(text, &settings); err != nil {
		return b, fmt.Errorf("%w: --provider %s: %w", errMisused, o.provider, err)
	}
	b.Provider, b.Objects = &settings.Provider, settings.Objects
	return b, nil
}
