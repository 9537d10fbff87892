package rollout

// Held returns how many chunks p remembers.
func (p *Payloads) Held() int { return len(p.chunks) }
