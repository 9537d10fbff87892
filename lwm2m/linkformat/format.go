package linkformat

import "strings"

// Format returns the text that Parse accepts. Values are written in quotes
// unless they look like numbers or versions: what needs none has none
// (ct=110, ver=1.1), as OMA prints them.
func Format(links []Link) string {
	var b strings.Builder
	for i, l := range links {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString("<" + l.Target + ">")
		for _, a := range l.Attributes {
			b.WriteString(";" + a.Name)
			if a.HasValue {
				b.WriteByte('=')
				writeValue(&b, a.Value)
			}
		}
	}
	return b.String()
}

func writeValue(b *strings.Builder, value string) {
	if value != "" && strings.Trim(value, "0123456789.+-") == "" {
		b.WriteString(value)
		return
	}
	b.WriteByte('"')
	for i := range len(value) {
		if value[i] == '"' || value[i] == '\\' {
			b.WriteByte('\\')
		}
		b.WriteByte(value[i])
	}
	b.WriteByte('"')
}
