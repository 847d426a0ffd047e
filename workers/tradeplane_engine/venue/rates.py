"""The dated rates of US equities. Each row says where it is from; what is not established is a doubt that is reported.

Sources: A = ``alpaca-protocol.md`` section 10.4; F = FINRA's notice or filing; S = the SEC's fee rate advisory or a
press report of it; T = a table of the SEC's rates kept by TraderStatus. Read in November 2026.
"""

from fractions import Fraction

from tradeplane_engine.venue import fees, schedules

_USD = Fraction

SEC = schedules.Dated(
    rows=(
        ("2001-12-27", _USD("33.30")),  # T, without a beginning
        ("2001-12-28", _USD("15.00")),  # T
        ("2002-04-01", _USD("30.10")),  # T
        ("2003-03-22", _USD("25.20")),  # F, T
        ("2003-04-01", _USD("46.80")),  # F, T
        ("2004-02-22", _USD("39.00")),  # F, T
        ("2004-04-01", _USD("23.40")),  # T
        ("2005-01-07", _USD("32.90")),  # T
        ("2005-04-01", _USD("41.80")),  # F, T
        ("2005-12-22", _USD("30.70")),  # F, T
        ("2007-03-17", _USD("15.30")),  # doubt
        ("2008-01-25", _USD("11.00")),  # rate F, day in doubt
        ("2008-04-01", _USD("5.60")),  # F
        ("2009-04-10", _USD("25.70")),  # rate F, day in doubt
        ("2010-01-15", _USD("12.70")),  # S: 30 days after the appropriation of 2009-12-16
        ("2010-04-01", _USD("16.90")),  # F
        ("2011-01-21", _USD("19.20")),  # doubt
        ("2012-02-21", _USD("18.00")),  # doubt
        ("2012-04-01", _USD("22.40")),  # rate S, day in doubt
        ("2013-05-25", _USD("17.40")),  # rate F, day in doubt
        ("2014-03-18", _USD("22.10")),  # F
        ("2015-02-14", _USD("18.40")),  # doubt
        ("2016-02-16", _USD("21.80")),  # rate F, day in doubt
        ("2017-07-04", _USD("23.10")),  # S
        ("2018-05-22", _USD("13.00")),  # F
        ("2019-04-16", _USD("20.70")),  # F, S
        ("2020-02-18", _USD("22.10")),  # F
        ("2021-02-25", _USD("5.10")),  # F, S
        ("2022-05-14", _USD("22.90")),  # rate S, day in doubt
        ("2023-02-27", _USD("8.00")),  # S
        ("2024-05-22", _USD("27.80")),  # S
        ("2025-05-14", _USD("0.00")),  # A, F
        ("2026-04-04", _USD("20.60")),  # A
    ),
    doubts=(
        schedules.Doubt("2007-03-17", "2008-03-31", "15.30 and the days of both changes are from memory"),
        schedules.Doubt("2008-04-02", "2009-10-01", "the day on which 25.70 followed 5.60 is from memory"),
        schedules.Doubt("2010-04-02", "2012-11-14", "19.20, 18.00 and the days of the changes are from memory"),
        schedules.Doubt("2012-11-15", "2014-03-17", "the day on which 17.40 followed 22.40 is from memory"),
        schedules.Doubt("2014-12-12", "2016-03-14", "18.40 and the days of both changes are from memory"),
        schedules.Doubt("2021-02-26", "2023-01-22", "the day on which 22.90 followed 5.10 is from memory"),
    ),
)

TAF = schedules.Dated(
    rows=(
        ("2005-06-08", fees.Taf(_USD("0.000075"), _USD("3.75"))),  # F: for over six years in June 2011
        ("2011-07-01", fees.Taf(_USD("0.000090"), _USD("4.50"))),  # F
        ("2012-03-01", fees.Taf(_USD("0.000095"), _USD("4.75"))),  # F
        ("2012-07-01", fees.Taf(_USD("0.000119"), _USD("5.95"))),  # rate F, day in doubt
        ("2022-01-01", fees.Taf(_USD("0.000130"), _USD("6.49"))),  # F
        ("2023-01-01", fees.Taf(_USD("0.000145"), _USD("7.27"))),  # F
        ("2024-01-01", fees.Taf(_USD("0.000166"), _USD("8.30"))),  # A, F
        ("2026-01-01", fees.Taf(_USD("0.000195"), _USD("9.79"))),  # A for 2026; the day is FINRA's yearly step
    ),
    doubts=(schedules.Doubt("2012-03-02", "2012-12-31", "the day on which 0.000119 followed 0.000095 is from memory"),),
)

CAT = schedules.Dated(
    rows=(("2026-09-17", _USD("0.000003")),),  # A
    doubts=(
        schedules.Doubt(
            "2024-01-01", "2026-09-16", "Alpaca charged more: 0.0000265 to 0.000053 were seen, without days"
        ),
    ),
)

UNITED_STATES = schedules.Schedule(name="united-states", sec=SEC, taf=TAF, cat=CAT)
