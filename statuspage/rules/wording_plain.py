"""Words that say it in a roundabout way or point at people: jargon, blame, and phrases that are hard to read."""

from statuspage.rules.wording_entries import Category, Words

_JARGON = Category.JARGON
_BLAME = Category.BLAME
_HARD = Category.HARD
_CHECK = "say which check was missing, not who did it"
_NOT_WHO = "say what happened, not who did it"
_OUT = "leave it out"
_OURS = "say what we do about it: to customers it is our service"

JARGON = (
    # Of engineers.
    Words(
        _JARGON,
        "latency = delay | latencies = delays | high latency = slowness | increased latency = slowness | elevated latency = slowness",
        "say “slow”, and what is slow",
    ),
    Words(_JARGON, "throughput = speed | degraded throughput = lower speed"),
    Words(
        _JARGON,
        "rollback = undoing of a change | rollbacks | roll back = undo | rolled back = undid | rolling back = undoing | rolls back = undoes",
        "say “undo”",
    ),
    Words(_JARGON, "revert = undo | reverts = undoes | reverted = undid | reverting = undoing"),
    Words(
        _JARGON,
        "deploy = release | deploys = releases | deployed = released | deploying = releasing | deployment = release | deployments = releases | redeploy = release again | redeployed = released again",
    ),
    Words(
        _JARGON,
        "hotfix = correction | hotfixes = corrections | hotfixed = corrected | hot fix = correction | bugfix = correction | bug fix = correction",
    ),
    Words(_JARGON, "patch = correction | patches = corrections | patched = corrected | patching = correcting"),
    Words(
        _JARGON,
        "mitigate = ease | mitigates = eases | mitigated = eased | mitigating = easing | mitigation = relief | mitigations | mitigation efforts",
        "say “ease the problem”",
    ),
    Words(
        _JARGON,
        "remediate = fix | remediates = fixes | remediated = fixed | remediating = fixing | remediation = fix | remediations = fixes | remediation efforts",
    ),
    Words(_JARGON, "regression = mistake in a change | regressions = mistakes in a change"),
    Words(_JARGON, "rca = summary of what happened | root cause analysis = summary of what happened | RCAs"),
    Words(
        _JARGON,
        "post mortem = summary of what happened | postmortem = summary of what happened | postmortems | post mortems",
    ),
    Words(_JARGON, "root cause = cause | root causes = causes | root caused = explained"),
    Words(_JARGON, "mttr | mttd | mtbf | rto | rpo", "say it in words"),
    Words(_JARGON, "sla | slas | slo | slos | sli | slis", "say which promise you mean"),
    Words(
        _JARGON,
        "sev 0 | sev 1 | sev 2 | sev 3 | sev 4 | sev0 | sev1 | sev2 | sev3 | sev4 | p0 incident | p1 incident | P0 | P1 | P2",
        "say how many customers are affected",
    ),
    Words(
        _JARGON,
        "degradation = slowness | service degradation | performance degradation = slowness | degraded performance = slowness",
        "say what is slow or fails",
    ),
    Words(
        _JARGON,
        "error rate = number of errors | error rates = number of errors | elevated error rates = more errors | increased error rates = more errors | elevated rate of errors | increased rate of errors = more errors",
        "say “more errors than usual”",
    ),
    Words(
        _JARGON,
        "elevated errors = more errors | elevated levels of = more | elevated number of = more | increased levels of = more | elevated rates of = more",
        "say “more … than usual”",
    ),
    Words(
        _JARGON,
        "connectivity = connections | connectivity issue = connection problem | connectivity issues = connection problems | network connectivity = connections",
    ),
    Words(
        _JARGON,
        "rate limit = limit | rate limits = limits | rate limiting = limiting | rate limited = limited | throttle = limit | throttled = limited | throttling = limiting",
    ),
    Words(_JARGON, "intermittent = occasional | intermittently = now and then"),
    Words(_JARGON, "anomaly = irregularity | anomalies = irregularities | anomalous = unusual", "say what was unusual"),
    Words(_JARGON, "functionality = features | functionalities = features"),
    Words(_JARGON, "performant = fast | non performant = slow"),
    Words(
        _JARGON, "scalability | scalable | scalability issue | scalability issues", "say “our systems were overloaded”"
    ),
    Words(
        _JARGON,
        "redundancy | redundant systems | geo redundant | high availability",
        "say what takes over when something fails",
    ),
    Words(_JARGON, "telemetry = measurements | observability = measurements | instrumentation = measurements"),
    Words(
        _JARGON,
        "on call engineer = colleague on duty | on call engineers = colleagues on duty | on call team = colleagues on duty | oncall = colleague on duty",
    ),
    Words(
        _JARGON,
        "incident commander | war room | bridge call | triage | triaged | triaging | runbook | runbooks | playbook",
        "say what we are doing, not how we are organised",
    ),
    Words(_JARGON, "blast radius = extent", "say how many customers are affected"),
    Words(
        _JARGON,
        "thundering herd | retry storm | cascading failure | cascading failures | cascading effect",
        "say “one failure led to others”",
    ),
    Words(
        _JARGON,
        "circuit breaker | back pressure | backpressure | load shedding | exponential backoff | backoff",
        "say what customers see: some requests are refused",
    ),
    Words(
        _JARGON,
        "idempotent | inflight | in flight | asynchronous | asynchronously | synchronous | synchronously | deterministic",
        "say what happens at once and what later",
    ),
    Words(
        _JARGON,
        "payload = data | payloads = data | serialization | deserialization | parsing error | malformed request | malformed requests | malformed redirects | malformed response",
        "say what was not accepted",
    ),
    Words(
        _JARGON,
        "auth = signing in | authn = signing in | authz = permissions | auth service = sign-in | auth tokens | auth token | bearer token | JWT | OAuth flow",
    ),
    Words(
        _JARGON,
        "whitelist = list of those allowed | whitelists = lists of those allowed | whitelisted = allowed | blacklist = list of those refused | blacklisted = refused",
    ),
    Words(_JARGON, "bottleneck = narrow place | bottlenecks = narrow places", "say what was overloaded"),
    Words(
        _JARGON, "edge case = rare case | edge cases = rare cases | corner case = rare case | corner cases = rare cases"
    ),
    Words(_JARGON, "stale data = old data | stale cache | stale reads | stale content = old content"),
    Words(
        _JARGON,
        "propagate = reach everyone | propagates = reaches everyone | propagated = reached everyone | propagating = reaching everyone | propagation",
        "say “reach everyone”",
    ),
    Words(
        _JARGON,
        "provision = set up | provisioned = set up | provisioning = setting up | reprovision = set up again | reprovisioned = set up again",
    ),
    Words(
        _JARGON,
        "decommission = switch off | decommissioned = switched off | decommissioning = switching off | sunsetting = ending | deprecate = end | deprecated = ended",
    ),
    Words(
        _JARGON, "spin up = start | spun up = started | spinning up = starting | spin down = stop | spun down = stopped"
    ),
    Words(
        _JARGON,
        "workload | workloads | compute capacity | compute resources | resource exhaustion | resource contention | resource starvation",
        "say “our systems were overloaded”",
    ),
    Words(
        _JARGON, "misconfiguration = wrong setting | misconfigurations = wrong settings | misconfigured = set wrongly"
    ),
    Words(
        _JARGON,
        "flapping | flapped | hung process | hanging process | wedged | zombie process | bounce the service | bounced the service",
        "say what came and went",
    ),
    Words(
        _JARGON,
        "hard reboot = restart | reboot = restart | rebooted = restarted | rebooting = restarting | power cycle = restart | power cycled = restarted",
    ),
    Words(
        _JARGON,
        "outage window | blackout window | change freeze | maintenance freeze | change window | cutover | cut over",
        "say when it happens, and what customers notice",
    ),
    Words(_JARGON, "qos | rtt | qps | rps | kpi | kpis | QA | UAT | CI CD", "say it in words"),
    Words(
        _JARGON,
        "brownout | brown out | gray failure | grey failure | partial outage event | sev event",
        "say what works and what does not",
    ),
    # Of offices.
    Words(
        _JARGON,
        "impacted = affected | impacting = affecting | negatively impacted = affected | adversely affected = affected",
    ),
    Words(
        _JARGON,
        "impactful | impacts access = affects access | impacts users = affects users | impacts customers = affects customers | impact users = affect users | impact customers = affect customers",
        "say “affects”",
    ),
    Words(_JARGON, "leverage = use | leverages = uses | leveraged = used | leveraging = using"),
    Words(_JARGON, "going forward = from now on | moving forward = from now on | on a go forward basis = from now on"),
    Words(_JARGON, "stakeholder | stakeholders | key stakeholders", "say who"),
    Words(
        _JARGON,
        "proactive = early | proactively | pro actively | proactive measures | proactive steps",
        "say what you do",
    ),
    Words(
        _JARGON,
        "touch base = talk | circle back = come back to this | circling back = coming back to this | loop in = tell | sync up = talk",
    ),
    Words(_JARGON, "deep dive = closer look | deep dives = closer looks | drill down = look closer"),
    Words(
        _JARGON,
        "best in class | world class | industry leading | state of the art | cutting edge | bleeding edge",
        _OUT,
    ),
    Words(_JARGON, "robust | robustness | holistic | holistically | seamless | seamlessly | synergy | synergies", _OUT),
    Words(_JARGON, "mission critical = important | business critical = important"),
    Words(_JARGON, "end user = customer | end users = customers | userbase = customers | user base = customers"),
    Words(_JARGON, "learnings = lessons | key learnings = lessons | takeaways = lessons | key takeaways = lessons"),
    Words(
        _JARGON,
        "operationalize = put to use | productize | incentivize | ideate | actionable | operational excellence",
        "say what you do",
    ),
    Words(
        _JARGON,
        "ecosystem | paradigm | paradigm shift | value add | game changer | low hanging fruit | move the needle",
        _OUT,
    ),
    Words(_JARGON, "reach out = get in touch | reached out = got in touch | reaching out = getting in touch"),
    Words(
        _JARGON,
        "asap = as soon as we can | EOD = by the end of the day | COB = by the end of the day | ETA = expected time | TBD = not known yet",
    ),
    Words(
        _JARGON,
        "business as usual | bau | steady state | nominal levels = normal | nominal = normal | baseline levels = normal",
        "say “as usual”",
    ),
    Words(
        _JARGON,
        "granular | granularity | at scale | scope creep | out of scope | action items | deliverables | bandwidth constraints",
        "say it in everyday words",
    ),
)

BLAME = (
    Words(_BLAME, "human error | human errors | human mistake | human factor", _CHECK),
    Words(
        _BLAME, "operator error | operator mistake | pilot error | administrator error | engineering mistake", _CHECK
    ),
    Words(
        _BLAME,
        "user error | user errors | customer error | customers misused | user mistake | incorrect use by customers",
        "say what the product let happen",
    ),
    Words(
        _BLAME,
        "someone forgot | somebody forgot | engineer forgot | developer forgot | employee forgot | colleague forgot | team forgot | we forgot",
        _CHECK,
    ),
    Words(
        _BLAME,
        "someone failed | somebody failed | engineer failed | developer failed | employee failed | team failed to",
        _CHECK,
    ),
    Words(_BLAME, "someone broke | somebody broke | engineer broke | developer broke | employee broke", _NOT_WHO),
    Words(
        _BLAME,
        "engineer misconfigured | someone misconfigured | employee misconfigured | administrator misconfigured | misconfigured by",
        _CHECK,
    ),
    Words(
        _BLAME,
        "engineer deleted | employee deleted | someone deleted | developer deleted | administrator deleted | accidentally deleted by",
        _CHECK,
    ),
    Words(
        _BLAME,
        "caused by an engineer | caused by an employee | caused by a developer | caused by a colleague | caused by one of our engineers | caused by a team member | caused by a contractor",
        _NOT_WHO,
    ),
    Words(
        _BLAME,
        "engineer who | developer who | employee who | colleague who | contractor who | person who caused | person responsible | responsible engineer | responsible individual",
        _NOT_WHO,
    ),
    Words(
        _BLAME,
        "junior engineer | junior developer | new hire | the intern | an intern | trainee | rookie mistake",
        _NOT_WHO,
    ),
    Words(
        _BLAME,
        "careless | carelessness | negligent | negligence | reckless | sloppy | incompetent | incompetence",
        _NOT_WHO,
    ),
    Words(_BLAME, "stupid | idiot | idiotic | dumb | lazy | ridiculous | silly mistake | stupid mistake", _NOT_WHO),
    Words(
        _BLAME, "botched | screwed up | messed up | dropped the ball | blew it | fat fingered | fat finger", _NOT_WHO
    ),
    Words(
        _BLAME,
        "should have known | should have noticed | should have caught | should have checked | should have tested",
        _CHECK,
    ),
    Words(
        _BLAME,
        "neglected to | failed to follow | did not follow procedure | did not follow the procedure | ignored the procedure | ignored warnings | violated procedure",
        _CHECK,
    ),
    Words(_BLAME, "to blame | blame | blames | blamed | blaming | finger pointing", _NOT_WHO),
    Words(
        _BLAME,
        "at fault | whose fault | fault lies with | fault of our | fault of the | fault of an | fault of a | fault of one of",
        _NOT_WHO,
    ),
    Words(
        _BLAME,
        "mistake of an | mistake of our | mistake by an | mistake by our | mistake by one of | mistake by a | error by an engineer | error by one of our | error on the part of",
        _NOT_WHO,
    ),
    Words(_BLAME, "no fault of our own | not our fault | not our problem | not our responsibility", _OURS),
    Words(
        _BLAME,
        "beyond our control | outside our control | outside of our control | out of our hands | out of our control",
        _OURS,
    ),
    Words(
        _BLAME,
        "let us down | vendor failed | supplier failed | provider failed | hosting provider failed | AWS failed | Azure failed | Google failed",
        _OURS,
    ),
    Words(
        _BLAME, "vendor error | vendor issue | vendor issues | vendor problem | vendor outage | vendor | vendors", _OURS
    ),
    Words(
        _BLAME,
        "third party issue | third party outage | third party error | third party problem | issue with a third party | fault of a third party | third party vendor | third party provider",
        _OURS,
    ),
    Words(
        _BLAME,
        "due to AWS | due to Azure | due to Google | due to Cloudflare | because of AWS | because of Azure | because of Google | because of Cloudflare | AWS outage | Azure outage | Cloudflare outage",
        _OURS,
    ),
    Words(
        _BLAME,
        "our provider made | our supplier made | our hosting company | provider broke | vendor broke | supplier broke | vendor mistake",
        _OURS,
    ),
    Words(
        _BLAME,
        "wrong command | typo by | mistyped | typing error | wrong button | pressed the wrong | ran the wrong",
        _CHECK,
    ),
    Words(
        _BLAME,
        "disciplinary | disciplined | reprimanded | terminated the employee | was fired | has been fired | let go",
        _OUT,
    ),
    Words(_BLAME, "rogue employee | rogue engineer | disgruntled | saboteur | insider", _NOT_WHO),
    Words(
        _BLAME,
        "abuse by a customer | misbehaving customer | abusive customer | a single customer caused | bad customer | misbehaving client | misbehaving clients | noisy neighbor | noisy neighbour",
        "say what the service let happen",
    ),
    Words(
        _BLAME,
        "user fault | users’ fault | customer fault | your fault | your mistake | you failed to | you forgot",
        "say what customers can do now",
    ),
    Words(
        _BLAME,
        "previous team | former employee | former colleague | predecessor | legacy team",
        _NOT_WHO,
    ),
)

HARD = (
    Words(_HARD, "in order to = to | so as to = to"),
    Words(
        _HARD,
        "due to the fact that = because | owing to the fact that = because | on account of the fact that = because | in light of the fact that = because | by virtue of = because of",
    ),
    Words(
        _HARD,
        "at this time = now | at the present time = now | at this point in time = now | at the current time = now | as of this time = now",
    ),
    Words(_HARD, "at that time = then | at that point in time = then | at such time as = when"),
    Words(_HARD, "prior to = before | previous to = before"),
    Words(_HARD, "subsequent to = after | subsequently = then"),
    Words(_HARD, "in the event that = if | in the event of = if there is | should it be the case that = if"),
    Words(
        _HARD,
        "with regard to = about | with regards to = about | in regard to = about | in regards to = about | with respect to = about | in relation to = about | pertaining to = about",
    ),
    Words(_HARD, "a subset of = some | a small subset of = some | subsets of"),
    Words(
        _HARD,
        "utilize = use | utilizes = uses | utilized = used | utilizing = using | utilise = use | utilised = used | utilising = using | utilization = use | utilisation = use",
    ),
    Words(_HARD, "facilitate = help | facilitates = helps | facilitated = helped | facilitating = helping"),
    Words(_HARD, "commence = begin | commences = begins | commenced = began | commencing = beginning"),
    Words(_HARD, "endeavour = try | endeavor = try | endeavouring = trying | endeavoring = trying"),
    Words(_HARD, "ascertain = find out | ascertained = found out | ascertaining = finding out"),
    Words(_HARD, "terminate = end | terminated = ended | terminating = ending | cessation = end"),
    Words(_HARD, "expedite = speed up | expedited = sped up | expediting = speeding up | expeditiously = quickly"),
    Words(_HARD, "rectify = correct | rectified = corrected | rectifying = correcting | rectification = correction"),
    Words(_HARD, "in the vicinity of = about | in the region of = about"),
    Words(_HARD, "furthermore = also | moreover = also | in addition to the above = also"),
    Words(_HARD, "insufficient = too little | in sufficient quantity = enough | insufficiently = not enough"),
    Words(_HARD, "numerous = many | a multitude of = many | a plethora of = many"),
    Words(
        _HARD,
        "in close proximity to = near | in the near future = soon | in a timely manner = soon | in a timely fashion = soon | at your earliest convenience = soon",
    ),
    Words(_HARD, "has the ability to = can | have the ability to = can | had the ability to = could | is capable of"),
    Words(
        _HARD,
        "experiencing an issue = having a problem | experiencing issues = having problems | experiencing difficulties = having problems | experiencing difficulty = having trouble",
    ),
    Words(
        _HARD,
        "conduct an investigation = investigate | conducting an investigation = investigating | perform an investigation = investigate | performing an investigation = investigating | carry out an investigation = investigate",
    ),
    Words(
        _HARD,
        "make a decision = decide | made a decision = decided | give consideration to = consider | provide assistance = help | providing assistance = helping | perform maintenance on = maintain",
    ),
    Words(
        _HARD,
        "it should be noted that | please note that | it is important to note that | be advised that | please be advised that | please be informed that | kindly note",
        _OUT,
    ),
    Words(
        _HARD,
        "apologize for any inconvenience this may have caused = are sorry for the trouble | apologise for any inconvenience this may have caused = are sorry for the trouble | regret any inconvenience = are sorry for the trouble | any inconvenience this may have caused = the trouble | any inconvenience = the trouble",
        "say “we are sorry for the trouble”",
    ),
    Words(
        _HARD,
        "thank you for your patience and understanding | we appreciate your patience | thank you for your continued patience | your patience is appreciated",
        "say when they hear more",
    ),
    Words(
        _HARD,
        "not unlikely = likely | not impossible = possible | not uncommon = common | not insignificant = large | not infrequently = often | not unusual = usual | not without = with | not unaffected = affected | not unaware = aware",
    ),
    Words(
        _HARD,
        "cannot rule out | can not rule out | can’t rule out | can't rule out | never fails to = always | does not fail to | did not fail to",
        "say what may happen",
    ),
    Words(
        _HARD,
        "until such time as = until | for the duration of = during | during the course of = during | for the purpose of = for | on a regular basis = regularly | on a daily basis = daily",
    ),
    Words(
        _HARD,
        "in conjunction with = with | in accordance with = by | in the process of | by means of = by | in lieu of = instead of | in excess of = more than",
    ),
    Words(
        _HARD,
        "herein | hereby | hereto | herewith | therein | thereof | thereto | whereby | aforementioned | the foregoing | heretofore",
        "say it in everyday words",
    ),
    Words(
        _HARD,
        "and or = or | if and when = when | unless and until = until | each and every = every | first and foremost = first",
    ),
    Words(
        _HARD,
        "has been observed | have been observed | was observed to | it was observed that | it has been determined that | it was determined that | it has been identified that",
        "say who saw it: “we found …”",
    ),
)
