package transfer

import "fmt"

// FactoryReset gives up the operational certificate, and the one before it: the device
// enrols anew by its factory certificate. What must survive every reset does: state,
// epoch, message and receipt, the truststore and account of the domain that it belongs
// to, and the keys, for the right at the CA is bound to one of them (transfer protocol
// §1.8, §5 E5, §7). It returns ErrState unless the device is at rest or in READY: at any
// other time it has no certificate to give up but the one that it is to prove.
func (d *Device) FactoryReset() error {
	if err := d.mayEnrol(); err != nil {
		return fmt.Errorf("factory reset: %w", err)
	}
	return d.update(func(n *nvm) error {
		n.Cert, n.FormerCert = nil, nil
		return nil
	})
}
