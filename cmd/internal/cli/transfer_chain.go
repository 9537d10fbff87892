package cli

import (
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"steward/transfer"
)

// errCustody reports records that do not prove who has had the devices.
var errCustody = errors.New("the records do not prove the chain of custody")

// maxRecordFiles bounds one chain: more is a mistake.
const maxRecordFiles = 1000

// recordFiles returns the files that arguments name, of a directory its records.
func recordFiles(args []string) (out []string, err error) {
	for _, name := range args {
		info, err := os.Stat(name)
		if err != nil {
			return nil, misusedFile(err)
		}
		if !info.IsDir() {
			out = append(out, name)
			continue
		}
		found, err := filepath.Glob(filepath.Join(name, "*.record"))
		if err != nil {
			return nil, misusedFile(err)
		}
		if len(found) == 0 {
			return nil, fmt.Errorf("%w: %s has no *.record", errMisused, name)
		}
		out = append(out, found...)
	}
	if len(out) > maxRecordFiles {
		return nil, fmt.Errorf("%w: %d records", errMisused, len(out))
	}
	return out, nil
}

func (o *operator) verifyChain(cmd *cobra.Command, files []string, known []*x509.Certificate, all bool) error {
	records := make([][]byte, len(files))
	for i, name := range files {
		raw, err := readRecord(name)
		if err != nil {
			return err
		}
		records[i] = raw
	}
	report, err := transfer.CheckChain(records, known)
	if err != nil {
		return err
	}
	if err := o.print(cmd, report, func() [][]string { return chainTable(report, files, all) }); err != nil {
		return err
	}
	if !report.Proved {
		return errCustody
	}
	return nil
}

func chainTable(r *transfer.ChainReport, files []string, all bool) (rows [][]string) {
	for i, record := range r.Records {
		rows = append(rows, []string{"record", files[i], record.From + " → " + record.To, record.State})
		if all || !record.Proved {
			rows = append(rows, recordTable(record, all)...)
		}
	}
	for _, s := range r.Statements {
		rows = append(rows, []string{"NOT PROVED", "", s.What + ": " + s.Why})
	}
	for _, c := range r.Custody {
		word := "proved"
		if !c.Proved {
			word = "NOT PROVED"
		}
		rows = append(rows, []string{word, c.Device, c.Names(), c.Why})
	}
	return rows
}
