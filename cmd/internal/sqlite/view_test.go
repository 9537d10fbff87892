package sqlite

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestViewPlans checks that each list is served by an index in the order of its
// cursor: none sorts, or reads a table from one end to the other without it.
func TestViewPlans(t *testing.T) {
	db := open(t)
	few := []string{ // what they sort is one page at most, or what one device has, or one group
		"view.transfer_rows_of_device", "view.values", "view.certificates_ending", "view.own_certificates",
		"view.devices_members", "view.certificates_of_device",
		"view.audit_of_action", "view.audit_of_actor", // at most a page of each action that there is
	}
	for name, index := range map[string]string{
		"view.devices":                 "sqlite_autoindex_device_3",
		"view.devices_owned":           "device_ownership",
		"view.devices_nosec":           "device_nosec",
		"view.devices_newest":          "sqlite_autoindex_device_1",
		"view.device_matches":          "sqlite_autoindex_device_1",
		"view.devices_members":         "PRIMARY KEY",
		"view.device_counts":           "device_ownership",
		"view.insecure":                "device_nosec",
		"view.values":                  "PRIMARY KEY",
		"view.certificates":            "COVERING INDEX certificate_page",
		"view.certificates_of_device":  "certificate_name",
		"view.certificates_of_key":     "COVERING INDEX certificate_page",
		"view.certificates_ending":     "certificate_live",
		"view.certificate_kinds":       "COVERING INDEX certificate_count",
		"view.certificate_ends":        "certificate_live",
		"view.own_certificates":        "certificate_count (kind<?)",
		"view.certificate_counts":      "certificate_live",
		"view.audit":                   "INTEGER PRIMARY KEY",
		"view.audit_of_action":         "audit_action",
		"view.audit_of_actor":          "audit_actor_action",
		"view.audit_of_subject":        "audit_subject",
		"view.findings":                "PRIMARY KEY",
		"view.vulnerabilities":         "finding_vulnerability",
		"view.jobs":                    "PRIMARY KEY",
		"view.running":                 "campaign_unfinished",
		"view.transfer_rows_of_device": "transfer_row_factory",
		"view.open_transfers":          "transfer_open",
	} {
		plan := explain(t, db, name)
		if !strings.Contains(plan, index) {
			t.Errorf("%s is not served by %s:\n%s", name, index, plan)
		}
		sorts := strings.Contains(plan, "USE TEMP B-TREE FOR ORDER BY")
		if bounded := slices.Contains(few, name); sorts && !bounded {
			t.Errorf("%s sorts:\n%s", name, plan)
		}
	}
	if plan := explain(t, db, "view.devices"); !strings.Contains(plan, "audit_registration") {
		t.Errorf("last contact is not served by audit_registration:\n%s", plan)
	}
}

// grows are the tables that have a row for each device, or more.
var grows = []string{
	"audit", "bootstrap_report", "certificate", "device", "device_group_member", "device_key", "device_line",
	"device_running", "enrol_password", "enrolment", "enrolment_right", "factory_succession", "installed_manifest",
	"job", "key_origin", "observation", "operation", "registration", "sample", "sealed_envelope", "suit_report",
	"transfer_receipt", "transfer_row", "upstream_errand", "value",
}

// scans are the statements that read a table that grows from one end to the other,
// and why they may.
var scans = map[string]string{
	"audit.last":              "one row, the newest",
	"password.list":           "a page in the order of the table",
	"errand.list":             "a page in the order of the table",
	"registration.all":        "once, at the start",
	"transfer_row.all_open":   "once, at the start",
	"operation.waiting":       "once, at the start; those that wait",
	"bootstrap.unfinished":    "those under way",
	"certificate.revoked_all": "once, at the start",
	"restore.open_rights":     "once, after a restore",
	"restore.count_rights":    "once, after a restore",
	"series.count":            "the pruner, every ten minutes",
	"view.insecure":           "those without security, by an index of them alone",
	"view.device_counts":      "a count by an index, 5 ms for 100,000",
	"view.certificate_kinds":  "a count by an index, 25 ms for 100,000",
	"enrolment.counts":        "those in trouble, by an index of them alone",
}

// TestNoScans checks all statements: what reads every row of a table that grows is
// listed with its reason.
func TestNoScans(t *testing.T) {
	db := open(t)
	for name, text := range queries() {
		if !strings.HasPrefix(text, "SELECT") && !strings.HasPrefix(text, "WITH") {
			continue
		}
		scan := ""
		for line := range strings.Lines(explain(t, db, name)) {
			fields := strings.Fields(line)
			if len(fields) > 1 && fields[0] == "SCAN" && !strings.Contains(line, "VIRTUAL") {
				table := fields[1]
				if full := aliasOf(text, table); slices.Contains(grows, full) {
					scan = strings.TrimSpace(line)
				}
			}
		}
		switch _, allowed := scans[name]; {
		case scan != "" && !allowed:
			t.Errorf("%s reads all of a table that grows (%s): it needs an index, or a reason in scans", name, scan)
		case scan == "" && allowed:
			t.Errorf("%s reads no table from end to end, and needs no reason in scans", name)
		}
	}
}

// aliasOf returns the table that a statement calls by a short name.
func aliasOf(statement, alias string) string {
	words := strings.Fields(strings.NewReplacer("(", " ", ")", " ", ",", " ").Replace(statement))
	for i, w := range words {
		if w == alias && i > 0 && slices.Contains(grows, words[i-1]) {
			return words[i-1]
		}
	}
	return alias
}

func explain(t *testing.T, db *DB, name string) string {
	t.Helper()
	args := make([]any, strings.Count(query(name), "?")) // one for each at most
	for n := 20; n > 0; n-- {
		if strings.Contains(query(name), fmt.Sprint("?", n)) {
			args = args[:n]
			break
		}
	}
	for i := range args {
		args[i] = 1
	}
	rows, err := db.read.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query(name), args...)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	defer rows.Close()
	var b strings.Builder
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			t.Fatal(err)
		}
		b.WriteString(detail + "\n")
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
