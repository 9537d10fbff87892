// Package sheet keeps texts in cells of CSV files (RFC 4180) from being computed by
// the spreadsheet that opens them.
package sheet

import "strings"

// Harmless returns text with an apostrophe in front if a spreadsheet could take it
// for a formula: devices, partners and people choose texts that others export.
func Harmless(text string) string {
	start := strings.TrimLeft(text, " \u00a0\u3000")
	if start != "" && strings.ContainsAny(start[:1], "=+-@\t\r\n|%") || strings.HasPrefix(start, "＝") ||
		strings.HasPrefix(start, "＋") || strings.HasPrefix(start, "－") || strings.HasPrefix(start, "＠") {
		return "'" + text
	}
	return text
}
