package ddf_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"steward/lwm2m"
	"steward/objects/ddf"
	"steward/objects/registry"
)

// good is made after the published documents of OMA (LWM2M.xsd).
const good = `<?xml version="1.0" encoding="UTF-8"?>
<!-- a comment -->
<LWM2M xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
  xsi:noNamespaceSchemaLocation="http://www.openmobilealliance.org/tech/profiles/LWM2M.xsd">
  <Object ObjectType="MODefinition">
    <Name>Water Meter &amp; Valve</Name><Description1><![CDATA[Of a house.]]></Description1>
    <ObjectID>32001</ObjectID><ObjectURN>urn:oma:lwm2m:x:32001</ObjectURN>
    <LWM2MVersion>1.1</LWM2MVersion><ObjectVersion>2.0</ObjectVersion>
    <MultipleInstances>Multiple</MultipleInstances><Mandatory>Optional</Mandatory>
    <Resources>
      <Item ID="7"><Name>Close</Name><Operations>E</Operations><MultipleInstances>Single</MultipleInstances>
        <Mandatory>Optional</Mandatory><Type></Type><RangeEnumeration/><Units/><Description>x</Description></Item>
      <Item ID="1"><Name>Volume</Name><Operations>R</Operations><MultipleInstances>Single</MultipleInstances>
        <Mandatory>Mandatory</Mandatory><Type>Float</Type><RangeEnumeration>0..9
        9</RangeEnumeration><Units>m3</Units><Description/></Item>
    </Resources><Description2/>
  </Object>
</LWM2M>`

func TestParse(t *testing.T) {
	got, err := ddf.Parse([]byte("\xef\xbb\xbf" + good))
	if err != nil {
		t.Fatal(err)
	}
	want := registry.Object{
		ID: 32001, Version: "2.0", LwM2M: "1.1", Name: "Water Meter & Valve", URN: "urn:oma:lwm2m:x:32001", Multiple: true,
		Resources: []registry.Resource{
			{ID: 1, ResourceInfo: lwm2m.ResourceInfo{
				Name: "Volume", Kind: lwm2m.KindFloat, Operations: lwm2m.OpRead, Mandatory: true, Units: "m3", Range: "0..9 9",
			}},
			{ID: 7, ResourceInfo: lwm2m.ResourceInfo{Name: "Close", Operations: lwm2m.OpExecute}},
		},
	}
	if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", []registry.Object{want}) {
		t.Errorf("Parse = %+v, want %+v", got, want)
	}
}

func TestParseRefuses(t *testing.T) {
	change := func(old, text string) string { return strings.Replace(good, old, text, 1) }
	_, object, _ := strings.Cut(good, "<Object ")
	object, _, _ = strings.Cut("<Object "+object, "</LWM2M>")
	bomb := `<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>` +
		strings.SplitN(good, "\n", 2)[1]
	tests := []struct {
		name, in string
		want     error
	}{
		{"nothing", "", ddf.ErrSyntax},
		{"no XML", "{}", ddf.ErrSyntax},
		{"another document", "<html></html>", ddf.ErrSyntax},
		{"no object", "<LWM2M></LWM2M>", ddf.ErrSyntax},
		{"cut off", good[:len(good)-10], ddf.ErrSyntax},
		{"two documents", good + good, ddf.ErrSyntax},
		{"text behind it", good + "x", ddf.ErrSyntax},
		{"elements crossed", change("</Item>", "</Item2>"), ddf.ErrSyntax},
		{"entities that grow", strings.Replace(bomb, "Of a house", "&b;", 1), ddf.ErrSyntax},
		{"external entity", change("<LWM2M", `<!DOCTYPE x SYSTEM "file:///etc/passwd"><LWM2M`), ddf.ErrSyntax},
		{"entity that is not declared", change("Volume", "&passwd;"), ddf.ErrSyntax},
		{"another character set", change("UTF-8", "UTF-16"), ddf.ErrSyntax},
		{"bytes that are no UTF-8", change("Volume", "\xff"), ddf.ErrSyntax},
		{"depth", strings.Repeat("<a>", 50) + strings.Repeat("</a>", 50), ddf.ErrLimit},
		{"elements", "<LWM2M>" + strings.Repeat("<a/>", 30_000) + "</LWM2M>", ddf.ErrLimit},
		{"size", "<LWM2M>" + strings.Repeat(" ", ddf.MaxDocument) + "</LWM2M>", ddf.ErrLimit},
		{"objects", "<LWM2M>" + strings.Repeat("<Object/>", 17) + "</LWM2M>", ddf.ErrSyntax},
		{"object twice", strings.Replace(good, "</LWM2M>", object+"</LWM2M>", 1), ddf.ErrSyntax},
		{"object id", change("<ObjectID>32001", "<ObjectID>65535"), ddf.ErrSyntax},
		{"object id with a sign", change("<ObjectID>32001", "<ObjectID>-1"), ddf.ErrSyntax},
		{"no object id", change("<ObjectID>32001</ObjectID>", ""), ddf.ErrSyntax},
		{"no name", change("Water Meter &amp; Valve", " "), ddf.ErrSyntax},
		{"name twice", change("<Name>Volume</Name>", "<Name>Volume</Name><Name>x</Name>"), ddf.ErrSyntax},
		{"name that turns the text round", change("Volume", "\u202eemuloV"), ddf.ErrSyntax},
		{"name with a null", change("Volume", "a&#0;b"), ddf.ErrSyntax},
		{"long name", change("Volume", strings.Repeat("x", 129)), ddf.ErrLimit},
		{"version", change(">2.0<", ">2<"), ddf.ErrSyntax},
		{"version that is a path", change(">2.0<", ">../2<"), ddf.ErrSyntax},
		{"type", change(">Float<", ">Double<"), ddf.ErrSyntax},
		{"operations", change(">R<", ">X<"), ddf.ErrSyntax},
		{"instances", change(">Multiple<", ">Many<"), ddf.ErrSyntax},
		{"resource id", change(`ID="7"`, `ID="x"`), ddf.ErrSyntax},
		{"no resource id", change(`ID="7"`, ``), ddf.ErrSyntax},
		{"resource twice", change(`ID="7"`, `ID="1"`), ddf.ErrSyntax},
		{"no resource name", change("Volume", ""), ddf.ErrSyntax},
	}
	for _, tt := range tests {
		if o, err := ddf.Parse([]byte(tt.in)); !errors.Is(err, tt.want) {
			t.Errorf("%s: Parse = %v, %v, want %v", tt.name, o, err, tt.want)
		}
	}
}

// FuzzParse checks that what is read stays within its bounds and is sorted.
func FuzzParse(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte("<LWM2M><Object><Name>x</Name></Object></LWM2M>"))
	f.Fuzz(func(t *testing.T, document []byte) {
		all, err := ddf.Parse(document)
		if err != nil && !errors.Is(err, ddf.ErrSyntax) && !errors.Is(err, ddf.ErrLimit) {
			t.Errorf("Parse = %v, want ErrSyntax or ErrLimit", err)
		}
		for _, o := range all {
			if o.Name == "" || len(o.Name) > 128 || o.ID == lwm2m.NoID {
				t.Errorf("object %+v", o)
			}
			for i, r := range o.Resources {
				if i > 0 && o.Resources[i-1].ID >= r.ID {
					t.Errorf("resources out of order: %d, %d", o.Resources[i-1].ID, r.ID)
				}
			}
		}
	})
}
