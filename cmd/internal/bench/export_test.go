package bench

// SuiteCommands returns the arguments of every measurement of Suite, in full and
// quick.
func SuiteCommands() (all [][]string) {
	for _, g := range suite() {
		for _, it := range g.items {
			all = append(all, append([]string{"bench"}, it.args...))
			all = append(all, append(append([]string{"bench"}, it.args...), it.quick...))
		}
	}
	return all
}
