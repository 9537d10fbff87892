package sim

import "steward/transfer"

// factoryReset is the Execute of /3/0/5: the device erases data, settings, packages under
// way and its certificate, restarts, and enrols anew by its factory certificate. Image,
// sequence numbers, domain, epoch and a message in READY stay. The data go first, so that
// after a power cut it can be asked again.
func (l *life) factoryReset() error {
	l.mu.Lock()
	state := l.tr.Status().State
	l.mu.Unlock()
	if _, installing := l.fw.installed(); installing {
		return transfer.ErrBusy
	}
	if !state.AtRest() && state != transfer.Ready {
		return transfer.ErrState
	}
	if err := l.put(l.wipeApplication(transfer.ResetData)); err != nil {
		return err
	}
	l.fw.reload()
	if err := l.with((*transfer.Device).FactoryReset); err != nil {
		return err
	}
	if err := l.compact(); err != nil {
		return err
	}
	l.reboot()
	return nil
}

// retire is the Execute of Retire: the device erases data and settings of its provider and
// signs that it has. Its certificate it keeps for its provider to read that, until the
// factory reset that follows. After a power cut between it can be asked again.
func (l *life) retire(order transfer.Order) error {
	if err := l.with(func(tr *transfer.Device) error { return tr.MayRetire(order) }); err != nil {
		return err
	}
	if err := l.put(l.wipeApplication(transfer.ResetData)); err != nil {
		return err
	}
	l.fw.reload()
	if err := l.compact(); err != nil {
		return err
	}
	return l.with(func(tr *transfer.Device) error { return tr.Retire(order, transfer.ResetData) })
}
