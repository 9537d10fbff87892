package trial

// Out and In let tests put the device's air between engines in memory.
func (d *Device) Out() int { return d.air.out() }

// In is the other way.
func (d *Device) In() bool { return d.air.in() }
