package cli

import (
	"maps"
	"strings"

	"github.com/spf13/cobra"
)

// examples has what the help of commands shows that say nothing else of their use, by
// the words after "steward". ID stands for one that a list shows.
func examples() map[string]string {
	all := examplesOfOperators()
	maps.Copy(all, examplesOfCA())
	maps.Copy(all, map[string]string{
		"":        "steward demo\nsteward serve",
		"serve":   "steward serve\nsteward serve --config /etc/steward.toml --log-json",
		"version": "steward version",
		"audit":   "steward audit follow\nsteward audit export --out audit.ndjson",

		"bench handshakes": "steward bench handshakes --devices 2000",
		"bench idle":       "steward bench idle --devices 10000 --registered",
		"bench observe":    "steward bench observe --devices 1000",
		"bench push":       "steward bench push --devices 10",
		"bench register":   "steward bench register --devices 1000",
		"bench requests":   "steward bench requests --duration 10s --json",
		"bench restart":    "steward bench restart --devices 500",
		"bench storm":      "steward bench storm --devices 1000 --spoofed 25000",
		"bench update":     "steward bench update --devices 1000",
	})
	return all
}

func examplesOfCA() map[string]string {
	return map[string]string{
		"ca":                   "steward ca inventory\nsteward ca list --kind operational",
		"ca approvals list":    "steward ca approvals list",
		"ca approvals approve": "steward ca approvals approve ID REQUEST --reason 'seen at the gate'",
		"ca approvals refuse":  "steward ca approvals refuse ID REQUEST --reason unknown",
		"ca certify":           "steward ca certify alpha.csr --data factory-data --out alpha-chain.pem",
		"ca crl":               "steward ca crl",
		"ca factory request":   "steward ca factory request --requests batch-7/ --list batch-7.csv",
		"ca install":           "steward ca install alpha-chain.pem --data /var/lib/steward",
		"ca inventory":         "steward ca inventory --json",
		"ca keys":              "steward ca keys --data /var/lib/steward",
		"ca keys encrypt":      "steward ca keys encrypt --data /var/lib/steward --passphrase-file new.passphrase",
		"ca keys rotate":       "steward ca keys rotate suit\nsteward ca keys rotate suit --finish",
		"ca ocsp-status":       "steward ca ocsp-status",
		"ca password":          "steward ca password list",
		"ca password list":     "steward ca password list --json",
		"ca password withdraw": "steward ca password withdraw line-4",
		"ca rollover":          "steward ca rollover issuing\nsteward ca rollover issuing --finish",
		"ca show":              "steward ca show ID",
		"ca trust-factory":     "steward ca trust-factory manufacturer-ca.pem",
		"ca upstream list":     "steward ca upstream list",
		"ca upstream show":     "steward ca upstream show ID",
		"ca upstream import":   "steward ca upstream import ID answer.pem",
		"ca upstream retry":    "steward ca upstream retry ID",
		"ca upstream refuse":   "steward ca upstream refuse ID --reason 'not ours'",
		"ca upstream withdraw": "steward ca upstream withdraw ID",
	}
}

func examplesOfOperators() map[string]string {
	return map[string]string{
		"campaigns":         "steward campaigns list\nsteward campaigns preview --release ID --match model=lamp",
		"campaigns list":    "steward campaigns list --json",
		"campaigns show":    "steward campaigns show ID",
		"campaigns jobs":    "steward campaigns jobs ID --state failed",
		"campaigns preview": "steward campaigns preview --release ID --match model=lamp --plan plan.json",
		"campaigns submit":  "steward campaigns submit ID",
		"campaigns approve": "steward campaigns approve ID --reason 'tried on ten devices'",
		"campaigns reject":  "steward campaigns reject ID --reason 'waves are too large'",
		"campaigns pause":   "steward campaigns pause ID --reason 'complaints from the field'",
		"campaigns resume":  "steward campaigns resume ID",
		"campaigns abort":   "steward campaigns abort ID --devices 120 --reason 'bricks lamps'",
		"campaigns finish":  "steward campaigns finish ID --reason 'the rest is in a warehouse'",
		"campaigns report":  "steward campaigns report ID --format csv --out report.csv",

		"releases": "steward releases list\n" +
			"steward releases add --image fw.bin --version 2.0 --vendor v.example --class lamp",
		"releases list":            "steward releases list --json",
		"releases show":            "steward releases show ID",
		"releases approve":         "steward releases approve ID --reason 'tried on a bench'",
		"releases withdraw":        "steward releases withdraw ID --reason CVE-2026-1",
		"releases bill":            "steward releases bill ID bill.cdx.json\nsteward releases bill ID",
		"releases findings":        "steward releases findings ID",
		"releases import":          "steward releases import list.json --name nightly",
		"releases vulnerabilities": "steward releases vulnerabilities --json",

		"users list":    "steward users list",
		"users add":     "steward users add alice --role operator --groups berlin",
		"users link":    "steward users link alice",
		"users disable": "steward users disable alice --reason 'left us'",
		"users enable":  "steward users enable alice",
		"users renew":   "steward users renew alice --reason 'seen in a breach'",
		"users reset":   "steward users reset alice --reason 'lost the laptop'",
	}
}

// exemplify gives the commands below root the examples that they lack.
func exemplify(root *cobra.Command) {
	for words, text := range examples() {
		cmd := root
		for name := range strings.FieldsSeq(words) {
			for _, c := range cmd.Commands() {
				if c.Name() == name {
					cmd = c
				}
			}
		}
		cmd.Example = "  " + strings.ReplaceAll(text, "\n", "\n  ")
	}
}
