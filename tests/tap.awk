# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Reads what the suite `suite` printed, then "@exit N", and prints one line per result (tests/run
# says which). Variables: suite, limit (seconds), log_file.

function result(verdict, text) {
	print verdict " " suite "/" text
	fflush()
	counted++
}
{ line[NR % 12] = $0 }
/^1\.\.[0-9]+/ { plan += substr($1, 4) }
/^(not )?ok / || /^skip / {
	verdict = $1 == "not" ? "not ok" : $1
	text = $0
	sub(/^(not ok|ok|skip) +([0-9]+ +)?(- )?/, "", text)
	if (match(text, / *# SKIP */)) {
		verdict = "skip"
		reason = substr(text, RSTART + RLENGTH)
		# cmocka gives the name where the reason belongs
		text = RSTART > 1 ? substr(text, 1, RSTART - 1) " # " reason : reason " # by itself"
	}
	failed += verdict == "not ok"
	result(verdict, text)
	explain = verdict == "not ok"
	next
}
/^#/ && explain { print; fflush(); next }
/^@exit / { rc = $2; ended = 1; next }
END {
	if (rc == 124 || rc == 137)
		result("not ok", "ends # still running after " limit " s")
	else if (rc && !failed)
		result("not ok", "ends # exit code " rc)
	else if (!ended || counted == 0)
		result("not ok", "ends # printed no result")
	else if (plan && counted < plan)
		result("not ok", "ends # " counted " results, " plan " planned")
	if (rc && (!failed || rc >= 124)) {
		for (i = NR + 1; i <= NR + 12; i++)
			if (line[i % 12] != "")
				print "# " line[i % 12]
		print "# all of it: " log_file
	}
}
