package web

import "strings"

// Matching returns those messages in which text occurs, in either case; "" is in all.
func (t DeviceTrace) Matching(text string) DeviceTrace {
	text = strings.ToLower(text)
	if text == "" {
		return t
	}
	var kept Array[TraceMessage]
	for _, m := range t.Items {
		all := strings.Join([]string{m.Type, m.Token, m.What, m.Options, m.Payload, m.Malformed, m.Address}, " ")
		if strings.Contains(strings.ToLower(all), text) {
			kept = append(kept, m)
		}
	}
	t.Items = kept
	return t
}
