/* SPDX-License-Identifier: Apache-2.0 */
#include "report_measures.h"

#include <stddef.h>
#include <string.h>

static const struct report_section sections[] = {
    {"completeness", "数据完整性", "Completeness", "kind", "事件种类", "Kind of event",
     "序号按整个统计日、以生成报告时所知判定, 含截至时间之后的; "
     "静默: 截至时间前一小时无任何信号",
     "Numbers of the whole reporting day, as known when the report was made, also those of after "
     "its time; silent: no sign of life in the hour before the time of the report"},
    {"screening", "排查", "Screening", NULL, NULL, NULL, NULL, NULL},
    {"contacts", "三张名单", "The three lists of contacts", "tier", "名单", "List",
     "累计至截至时间, 另列当日新增", "To date, and those listed on the day"},
    {"tests", "核酸检测", "Nucleic acid tests", NULL, NULL, NULL,
     "待检管数累计至截至时间; 用时由分档人数估算",
     "Pending tubes are to date; turnaround is "
     "estimated from classes"},
    {"quarantine_places", "集中隔离点", "Central quarantine: places and rooms", NULL, NULL, NULL,
     "各点截至时间前最近一次上报", "As each place last reported before the time"},
    {"quarantine", "集中隔离人员", "Central quarantine: persons", "tier", "人员类别", "Tier",
     "在册由进出累计, 与上报人数并列",
     "The census is counted from steps, and stands beside the "
     "reported headcount"},
    {"checkpoints", "卡口查验", "Checkpoints", NULL, NULL, NULL, NULL, NULL},
    {"home", "居家观察", "Home observation", NULL, NULL, NULL, NULL, NULL},
    {"duty", "值守与下沉", "Duty", NULL, NULL, NULL, "除另注外按派出单位统计",
     "By the unit that sends, unless it says otherwise"},
    {"services", "4+1服务", "Services 4+1", "service", "服务", "Service", NULL, NULL},
};

#define SECTION_COUNT ((int)(sizeof sections / sizeof sections[0]))

#define CENTRAL "t.\"place\" = 'CENTRAL'"
#define HOME "t.\"place\" = 'HOME'"
#define SUPPLY "t.\"service\" = 'SUPPLY'"

/* Persons of a place now: all that came, less all that left. */
#define CENSUS                                                                                     \
    "{admitted_persons} + {transferred_in_persons} - {transferred_out_persons} - "                 \
    "{released_persons} - {hospital_persons} - {became_case_persons} - {absconded_persons}"
#define ACTIVE "{listed_persons} - {closed_persons} - {became_case_persons} - {handed_off_persons}"
#define TURNAROUND(p)                                                                              \
    "round(quantile(" p ", {timed_tubes}, array[60,120,240,360,480,720,1440,2880]"                 \
    "::bigint[], "                                                                                 \
    "array[{resulted_within_1h_tubes}, {resulted_within_2h_tubes}, {resulted_within_4h_tubes}, "   \
    "{resulted_within_6h_tubes}, {resulted_within_8h_tubes}, {resulted_within_12h_tubes}, "        \
    "{resulted_within_24h_tubes}, {resulted_within_48h_tubes}])::numeric)"
#define PERCENT(part, whole) "round(100.0 * {" part "} / nullif({" whole "}, 0), 1)"

/* clang-format off */
static const struct report_measure measures[] = {
#define EACH_KIND(name, unit, zh, en, column)                                                      \
    {"completeness", name, unit, zh, en, REPORT_STATUS, false, true, NULL, column, NULL}
    EACH_KIND("expected_posts", "posts", "应报", "Expected", "sources_expected"),
    EACH_KIND("heard_posts", "posts", "已报", "Heard", "sources_heard"),
    EACH_KIND("silent_posts", "posts", "静默", "Silent", "sources_silent"),
    EACH_KIND("silent_minutes", "minutes", "静默时长", "Silence", "silent_minutes"),
    EACH_KIND("announced_events", "events", "已知", "Announced", "announced"),
    EACH_KIND("counted_events", "events", "已计", "Counted", "counted"),
    EACH_KIND("pending_events", "events", "待收", "Pending", "pending"),
    EACH_KIND("missing_events", "events", "缺失", "Missing", "missing"),
    EACH_KIND("rejected_events", "events", "拒收", "Rejected", "rejected"),
    EACH_KIND("written_off_events", "events", "核销", "Written off", "written_off"),
    EACH_KIND("missing_before_events", "events", "往日缺失", "Missing of days before",
              "missing_before"),

#define SCREENING(name, unit, zh, en, sql)                                                         \
    {"screening", name, unit, zh, en, REPORT_SUMS, false, false, "screening", sql, NULL}
    SCREENING("screened_person_times", "person_times", "排查", "Screened",
              "{screened_person_times}"),
    SCREENING("visited_household_times", "household_times", "走访", "Households visited",
              "{visited_household_times}"),
    SCREENING("close_found_persons", "persons", "发现密接", "Close contacts found",
              "{close_found_persons}"),
    SCREENING("secondary_found_persons", "persons", "发现次密接", "Secondary contacts found",
              "{secondary_found_persons}"),
    SCREENING("companion_found_persons", "persons", "发现时空伴随者", "Companions found",
              "{companion_found_persons}"),
    SCREENING("sent_to_quarantine_persons", "persons", "送集中隔离", "Sent to quarantine",
              "{sent_to_quarantine_persons}"),

#define CONTACT(name, zh, en, sql)                                                                 \
    {"contacts", name, "persons", zh, en, REPORT_SUMS, true, true, "contact", sql, NULL}
    CONTACT("listed_persons", "列入", "Listed", "{listed_persons}"),
    CONTACT("located_persons", "已找到", "Located", "{located_persons}"),
    CONTACT("handed_off_persons", "发函移交", "Handed off", "{handed_off_persons}"),
    CONTACT("controlled_persons", "已管控", "Controlled", "{controlled_persons}"),
    CONTACT("sampled_persons", "已采样", "Sampled", "{sampled_persons}"),
    CONTACT("negative_persons", "阴性", "Negative", "{negative_persons}"),
    CONTACT("positive_persons", "阳性", "Positive", "{positive_persons}"),
    CONTACT("became_case_persons", "转为病例", "Became a case", "{became_case_persons}"),
    CONTACT("closed_persons", "结案", "Closed", "{closed_persons}"),
    CONTACT("active_persons", "在管", "Active", ACTIVE),
    {"contacts", "controlled_within_24h_percent", "percent", "24小时内管控率",
     "Controlled within 24 h", REPORT_VALUE, true, true, "contact",
     PERCENT("controlled_within_24h_persons", "controlled_persons"), NULL},
    {"contacts", "newly_listed_persons", "persons", "当日列入", "Listed on the day", REPORT_SUMS,
     false, true, "contact", "{listed_persons}", NULL},
    {"contacts", "confirmed_cases", "persons", "确诊病例", "Confirmed cases", REPORT_NEVER, false,
     false, NULL, NULL, NULL},

#define TEST(name, unit, zh, en, op, sql)                                                          \
    {"tests", name, unit, zh, en, op, false, false, "test_site", sql, NULL}
    TEST("sampled_person_times", "person_times", "采样", "Sampled", REPORT_SUMS,
         "{sampled_person_times}"),
    TEST("sampled_green_lane_person_times", "person_times", "绿色通道", "Green lane", REPORT_SUMS,
         "{sampled_green_lane_person_times}"),
    TEST("sampled_home_visit_person_times", "person_times", "上门采样", "At home", REPORT_SUMS,
         "{sampled_home_visit_person_times}"),
    TEST("sealed_tubes", "tubes", "封箱", "Sealed", REPORT_SUMS, "{sealed_tubes}"),
    TEST("received_tubes", "tubes", "接收", "Received", REPORT_SUMS, "{received_tubes}"),
    TEST("rejected_tubes", "tubes", "实验室拒收", "Rejected", REPORT_SUMS, "{rejected_tubes}"),
    TEST("resulted_tubes", "tubes", "已出结果", "Resulted", REPORT_SUMS, "{resulted_tubes}"),
    TEST("presumptive_positive_tubes", "tubes", "初筛阳性", "Presumptive positive", REPORT_SUMS,
         "{presumptive_positive_tubes}"),
    TEST("turnaround_p50_min", "minutes", "出结果用时中位数", "Turnaround p50", REPORT_VALUE,
         TURNAROUND("0.5")),
    TEST("turnaround_p90_min", "minutes", "出结果用时九成", "Turnaround p90", REPORT_VALUE,
         TURNAROUND("0.9")),
    TEST("within_6h_percent", "percent", "6小时内出结果", "Within 6 h", REPORT_VALUE,
         PERCENT("resulted_within_6h_tubes", "timed_tubes")),
    TEST("queue_persons_max", "persons", "最长排队", "Longest queue", REPORT_VALUE,
         "{max queue_persons_max}"),
    {"tests", "pending_tubes", "tubes", "待检", "Pending", REPORT_SUMS, true, false, "test_site",
     "{sealed_tubes} - {rejected_tubes} - {resulted_tubes}", NULL},
    {"tests", "target_coverage_percent", "percent", "目标人群覆盖率",
     "Coverage of the target population", REPORT_NEVER, false, false, NULL, NULL, NULL},

#define PLACE(name, unit, zh, en, op, sql)                                                         \
    {"quarantine_places", name, unit, zh, en, op, true, false, "quarantine_place", sql, CENTRAL}
#define FREE(name, unit, zh, en, total, used)                                                      \
    {"quarantine_places", name, unit, zh, en, REPORT_MINUS, true, false, total, used, NULL}
    PLACE("total_posts", "posts", "隔离点", "Places", REPORT_SOURCES, "total_rooms"),
    PLACE("used_posts", "posts", "在用隔离点", "Places in use", REPORT_SOURCES, "used_rooms"),
    FREE("free_posts", "posts", "空闲隔离点", "Places free", "total_posts", "used_posts"),
    PLACE("total_rooms", "rooms", "房间", "Rooms", REPORT_LAST, "total_rooms"),
    PLACE("used_rooms", "rooms", "在用房间", "Rooms in use", REPORT_LAST, "used_rooms"),
    FREE("free_rooms", "rooms", "空闲房间", "Rooms free", "total_rooms", "used_rooms"),

#define PERSONS(section, name, zh, en, is_to_date, is_by_item, sql, where)                         \
    {section, name, "persons", zh, en, REPORT_SUMS, is_to_date, is_by_item, "quarantine", sql,     \
     where}
    PERSONS("quarantine", "census_persons", "在册", "Census", true, true, CENSUS, CENTRAL),
    {"quarantine", "headcount_persons", "persons", "上报人数", "Headcount reported", REPORT_LAST,
     true, false, "quarantine", "headcount_persons", CENTRAL},
    {"quarantine", "headcount_difference_persons", "persons", "在册减上报",
     "Census less headcount", REPORT_MINUS, true, false, "census_persons", "headcount_persons",
     NULL},
#define CENTRAL_STEP(name, zh, en)                                                                 \
    PERSONS("quarantine", name, zh, en, false, true, "{" name "}", CENTRAL)
    CENTRAL_STEP("admitted_persons", "新入", "Admitted"),
    CENTRAL_STEP("released_persons", "解除", "Released"),
    CENTRAL_STEP("transferred_in_persons", "转入", "Transferred in"),
    CENTRAL_STEP("transferred_out_persons", "转出", "Transferred out"),
    CENTRAL_STEP("hospital_persons", "送医", "To hospital"),
    CENTRAL_STEP("became_case_persons", "转为病例", "Became a case"),
    CENTRAL_STEP("absconded_persons", "擅自离开", "Absconded"),

#define POSTS(name, unit, zh, en, column)                                                          \
    {"checkpoints", name, unit, zh, en, REPORT_STATUS, false, false, "checkpoint", column, NULL}
    POSTS("expected_posts", "posts", "卡口", "Posts", "sources_expected"),
    POSTS("heard_posts", "posts", "已报卡口", "Posts heard", "sources_heard"),
    POSTS("silent_minutes", "minutes", "无信号时长", "Without a sign of life", "silent_minutes"),
#define CHECK(name, unit, zh, en)                                                                  \
    {"checkpoints", name, unit, zh, en, REPORT_SUMS, false, false, "checkpoint", "{" name "}", NULL}
    CHECK("checked_vehicles", "vehicles", "查验车辆", "Vehicles checked"),
    CHECK("checked_person_times", "person_times", "查验人次", "Persons checked"),
    CHECK("passed_person_times", "person_times", "放行", "Passed"),
    CHECK("passed_after_sample_person_times", "person_times", "采样后放行",
          "Passed after a sample"),
    CHECK("turned_back_person_times", "person_times", "劝返", "Turned back"),
    CHECK("held_fever_person_times", "person_times", "发热留置", "Held with fever"),
    CHECK("to_quarantine_person_times", "person_times", "转隔离", "To quarantine"),
    CHECK("code_yellow_person_times", "person_times", "黄码", "Yellow code"),
    CHECK("code_red_person_times", "person_times", "红码", "Red code"),
    CHECK("code_none_person_times", "person_times", "无码", "No code"),
    CHECK("temperature_high_person_times", "person_times", "体温异常", "High temperature"),
    {"checkpoints", "queue_vehicles_max", "vehicles", "最长排队", "Longest queue", REPORT_VALUE,
     false, false, "checkpoint", "{max queue_vehicles_max}", NULL},

    /* no stock of them: a household that moves is in neither of the two */
#define HOUSEHOLDS(name, zh, en)                                                                   \
    {"home", name, "households", zh, en, REPORT_SUMS, false, false, "quarantine", "{" name "}",    \
     HOME}
    HOUSEHOLDS("admitted_households", "新增户", "Households begun"),
    HOUSEHOLDS("ended_households", "结束户", "Households ended"),
    PERSONS("home", "observed_persons", "在管", "Persons", true, false, CENSUS, HOME),
    PERSONS("home", "admitted_persons", "新增", "Begun", false, false, "{admitted_persons}", HOME),
    PERSONS("home", "released_persons", "解除", "Released", false, false, "{released_persons}",
            HOME),
    PERSONS("home", "transferred_out_persons", "转出", "Transferred out", false, false,
            "{transferred_out_persons}", HOME),
#define DELIVERY(name, unit, zh, en, sql)                                                          \
    {"home", name, unit, zh, en, REPORT_SUMS, false, false, "service", sql, SUPPLY}
    DELIVERY("delivery_visits", "visits", "物资配送", "Deliveries", "{visits}"),
    DELIVERY("supplied_household_times", "household_times", "配送户次", "Households supplied",
             "{served_household_times}"),

#define DUTY(name, unit, zh, en, is_to_date, sql)                                                  \
    {"duty", name, unit, zh, en, REPORT_SUMS, is_to_date, false, "duty_unit", sql, NULL}
    DUTY("posted_persons", "persons", "派出", "Posted", false, "{posted_persons}"),
    DUTY("sign_on_persons", "persons", "签到上岗", "Signed on", false, "{sign_on_persons}"),
    DUTY("sign_off_persons", "persons", "签退下岗", "Signed off", false, "{sign_off_persons}"),
    DUTY("duty_person_minutes", "person_minutes", "值守时长", "Time on duty", false,
         "{duty_person_minutes}"),
    DUTY("on_duty_persons", "persons", "在岗", "On duty", true,
         "{sign_on_persons} - {sign_off_persons}"),
    {"duty", "serving_persons", "persons", "派驻本地(按服务地)", "Posted here (by place served)",
     REPORT_SUMS, false, false, "duty", "{posted_persons}", NULL},

#define SERVICE(name, unit, zh, en, sql)                                                           \
    {"services", name, unit, zh, en, REPORT_SUMS, false, true, "service", sql, NULL}
    SERVICE("visits", "visits", "服务", "Visits", "{visits}"),
    SERVICE("served_person_times", "person_times", "服务人次", "Persons served",
            "{served_person_times}"),
    SERVICE("served_household_times", "household_times", "服务户次", "Households served",
            "{served_household_times}"),
    SERVICE("new_households", "households", "首次服务户", "Households new to it",
            "{new_households}"),
};
/* clang-format on */

#define MEASURE_COUNT ((int)(sizeof measures / sizeof measures[0]))

static const struct report_word words[] = {
    {"unit", "posts", "个", "posts"},
    {"unit", "minutes", "分钟", "min"},
    {"unit", "events", "条", "events"},
    {"unit", "person_times", "人次", "person-times"},
    {"unit", "persons", "人", "persons"},
    {"unit", "household_times", "户次", "household-times"},
    {"unit", "households", "户", "households"},
    {"unit", "tubes", "管", "tubes"},
    {"unit", "percent", "%", "%"},
    {"unit", "rooms", "间", "rooms"},
    {"unit", "vehicles", "辆", "vehicles"},
    {"unit", "visits", "次", "visits"},
    {"unit", "person_minutes", "人分钟", "person-minutes"},
    {"tier", "CLOSE", "密接", "Close contacts"},
    {"tier", "SECONDARY", "次密接", "Secondary contacts"},
    {"tier", "COMPANION", "时空伴随者", "Companions"},
    {"tier", "RISK_AREA", "风险地区人员", "From risk areas"},
    {"tier", "FROM_ABROAD", "境外返回", "From abroad"},
    {"tier", "OTHER", "其他", "Other"},
    {"service", "DOOR_VISIT", "上门走访", "Door visits"},
    {"service", "PUBLIC_ORDER", "治安维护", "Public order"},
    {"service", "SUPPLY", "物资保障", "Supplies"},
    {"service", "FRAIL_SUPPORT", "扶老助弱", "Support of the frail"},
    {"service", "STAFF_CARE", "关爱工作人员", "Care for staff"},
    {"kind", "checkpoint", "卡口", "Checkpoint"},
    {"kind", "contact", "三张名单", "Contacts"},
    {"kind", "duty", "值守", "Duty"},
    {"kind", "quarantine", "隔离", "Quarantine"},
    {"kind", "screening", "排查", "Screening"},
    {"kind", "service", "服务", "Service"},
    {"kind", "test_site", "采样点", "Test site"},
    {"cause", "missing", "缺失", "missing"},
    {"cause", "rejected", "拒收", "rejected"},
    {"cause", "lost", "丢失", "lost"},
    {"level", "city", "市", "city"},
    {"level", "county", "县", "county"},
    {"level", "town", "镇", "town"},
};

#define WORD_COUNT ((int)(sizeof words / sizeof words[0]))

const struct report_section *report_section_at(int index)
{
    return index < SECTION_COUNT ? &sections[index] : NULL;
}

const struct report_measure *report_measure_at(int index)
{
    return index < MEASURE_COUNT ? &measures[index] : NULL;
}

const struct report_section *report_section_named(const char *name)
{
    for (int i = 0; i < SECTION_COUNT; i++)
        if (strcmp(sections[i].name, name) == 0)
            return &sections[i];
    return NULL;
}

const struct report_measure *report_measure_named(const char *section, const char *name)
{
    for (int i = 0; i < MEASURE_COUNT; i++)
        if (strcmp(measures[i].section, section) == 0 && strcmp(measures[i].name, name) == 0)
            return &measures[i];
    return NULL;
}

const struct report_word *report_word_named(const char *group, const char *name)
{
    for (int i = 0; i < WORD_COUNT; i++)
        if (strcmp(words[i].group, group) == 0 && strcmp(words[i].name, name) == 0)
            return &words[i];
    return NULL;
}

const struct report_word *report_word_at(const char *group, int index)
{
    for (int i = 0; i < WORD_COUNT; i++)
        if (strcmp(words[i].group, group) == 0 && index-- == 0)
            return &words[i];
    return NULL;
}
