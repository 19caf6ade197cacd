"""Technical detail that customers can do nothing with: addresses, program text, data stores, machinery, error codes."""

from statuspage.rules.wording_entries import Category, Shape, Words

_FEATURE = "say which feature is affected, not which machine"
_STOPPED = "say what stopped working"
_SEEN = "say what customers see: an error, a blank page"
_OUT = "leave it out"

_ADDRESS = Category.ADDRESS
_PROGRAM = Category.PROGRAM_TEXT
_DATA = Category.DATA
_MACHINE = Category.MACHINERY
_CODE = Category.ERROR_CODE

SHAPES = (
    Shape(_ADDRESS, "IPv4 address", r"\b\d{1,3}(?:\.\d{1,3}){3}(?:/\d{1,2})?\b", "leave the address out"),
    Shape(_ADDRESS, "IPv6 address", r"\b(?:[0-9a-f]{1,4}:){4,7}[0-9a-f]{1,4}\b", "leave the address out", True),
    Shape(
        _ADDRESS,
        "short IPv6 address",
        r"\b[0-9a-f]{1,4}(?::[0-9a-f]{1,4}){0,6}::(?:[0-9a-f]{1,4}\b)?",
        "leave the address out",
        True,
    ),
    Shape(
        _ADDRESS,
        "internal host",
        r"\b[a-z0-9-]{1,60}(?:\.[a-z0-9-]{1,60}){0,6}\.(?:internal|local|svc|cluster|lan|corp|intra|localdomain)\b(?!\.[a-z])",
        _FEATURE,
        True,
    ),
    Shape(
        _ADDRESS,
        "numbered host",
        r"\b(?:[a-z]{2,12}[-_]){0,3}(?:db|web|app|api|prod|node|host|srv|server|cache|redis|proxy|lb|worker|queue|smtp"
        r"|kafka|mongo|sql|pg|vm|esx|dc)(?:[-_]\d{1,4}|\d{2,4})[a-z]?\b",
        _FEATURE,
        True,
    ),
    Shape(
        _ADDRESS, "machine of a cloud", r"\bip(?:-\d{1,3}){4}\b|\b(?:i|vol|vpc|sg|ami|eni)-[0-9a-f]{8,17}\b", _FEATURE
    ),
    Shape(
        _ADDRESS,
        "region code",
        r"\b(?:us|eu|ap|sa|ca|me|af)-?(?:gov-)?(?:north|south|east|west|central){1,2}-?\d[a-f]?\b",
        "say where in words, such as “customers in Europe”",
        True,
    ),
    Shape(
        _ADDRESS,
        "host with port",
        r"\b(?:localhost|[a-z0-9-]{1,40}(?:\.[a-z0-9-]{1,40}){1,5}):\d{2,5}\b",
        _FEATURE,
        True,
    ),
    Shape(_ADDRESS, "hardware address", r"\b[0-9a-f]{2}(?:[:-][0-9a-f]{2}){5}\b", "leave the address out", True),
    Shape(
        _ADDRESS,
        "path of a file",
        r"(?<![\w/:.])/(?:etc|var|usr|opt|home|tmp|srv|mnt|proc|dev)/[\w./-]{1,200}",
        "leave the path out",
    ),
    Shape(_ADDRESS, "path on Windows", r"\b[A-Z]:\\[\w\\.-]{1,200}", "leave the path out"),
    Shape(
        _ADDRESS,
        "long identifier",
        r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b",
        "leave the identifier out",
        True,
    ),
    Shape(_ADDRESS, "commit", r"\bcommit [0-9a-f]{7,40}\b", "leave the identifier out", True),
    Shape(_ADDRESS, "number of a network", r"\bAS\d{3,6}\b", "leave the number out"),
    Shape(_PROGRAM, "name of an exception", r"\b[A-Z][A-Za-z0-9]{1,60}(?:Exception|Error)\b", _STOPPED),
    Shape(
        _PROGRAM,
        "line of a trace",
        r"\bFile \"[^\"\n]{1,200}\", line \d{1,6}|\b\w{1,60}\.(?:java|py|js|go|rb|php|cs):\d{1,6}\b",
        _STOPPED,
    ),
    Shape(_PROGRAM, "call of a function", r"\b[A-Za-z_][\w.]{1,80}\(\)", _STOPPED),
    Shape(_PROGRAM, "name with underscores", r"\b[A-Za-z][a-z0-9]{0,40}(?:_[a-z0-9]{1,40}){1,8}\b", _STOPPED),
    Shape(_PROGRAM, "setting in capitals", r"\b[A-Z][A-Z0-9]{1,40}(?:_[A-Z0-9]{1,40}){1,8}\b", _STOPPED),
    Shape(_PROGRAM, "name in camel case", r"\b[a-z]{2,30}(?:[A-Z][a-z]{2,30}){1,6}\b", _STOPPED),
    Shape(_PROGRAM, "line of a log", r"\b(?:ERROR|WARN|WARNING|FATAL|PANIC|DEBUG|TRACE)(?::|\])", _STOPPED),
    Shape(_PROGRAM, "setting with its value", r"\b[a-z][a-z_.]{1,40}=[\w\"'-]{1,60}", "leave the setting out"),
    Shape(_PROGRAM, "markup", r"</?[a-z][a-z0-9]{0,20}(?: [^<>\n]{0,200})?>", "leave the markup out", True),
    Shape(
        _DATA,
        "SQL statement",
        r"\b(?:SELECT|INSERT|UPDATE|DELETE|ALTER|DROP)\b[^.\n]{0,120}?\b(?:FROM|INTO|SET|WHERE|TABLE)\b",
        _STOPPED,
    ),
    Shape(
        _CODE,
        "code of an answer",
        r"\b(?:https?|status|response|errors?|codes?)(?: code| error| status)?s?[ :]{1,2}[45]\d\d\b",
        _SEEN,
        True,
    ),
    Shape(
        _CODE,
        "error with its code",
        r"\b[45](?:\d\d|xx)(?:'?s| errors?| responses?| status codes?| codes?)\b",
        _SEEN,
        True,
    ),
    Shape(_CODE, "kind of answer", r"\b[45]xx\b", _SEEN, True),
    Shape(_CODE, "numbered error", r"\berror (?:code |number |no\. ?|# ?)\w{1,20}\b|\berror \d{2,6}\b", _SEEN, True),
    Shape(_CODE, "code of a product", r"\b(?!ISO-|UTF-|RFC-|COVID-)[A-Z]{2,6}-\d{3,6}\b", "leave the number out"),
    Shape(
        _CODE,
        "name of a system error",
        r"\bE(?:CONN|TIMED|HOST|NET|ADDR|PIPE|NO|ACC|INVAL|AGAIN|BUSY)[A-Z]{0,12}\b",
        _SEEN,
    ),
    Shape(_CODE, "signal", r"\bSIG[A-Z]{3,5}\b", _STOPPED),
    Shape(_CODE, "hexadecimal code", r"\b0x[0-9a-f]{2,16}\b", "leave the number out", True),
    Shape(_CODE, "exit code", r"\bexit(?:ed with)? (?:code|status) \d{1,3}\b", _STOPPED, True),
)

WORDS = (
    # Addresses in words.
    Words(_ADDRESS, "localhost", _FEATURE),
    Words(_ADDRESS, "hostname = server | hostnames = servers | host name = server | host names = servers", _FEATURE),
    Words(
        _ADDRESS,
        "ip address | ip addresses | ip range | ip ranges",
        "leave the addresses out, unless customers have to act on them",
    ),
    Words(_ADDRESS, "subnet = network | subnets = networks"),
    Words(
        _ADDRESS,
        "availability zone = data centre | availability zones = data centres | AZ = data centre | AZs = data centres",
    ),
    # Program text in words.
    Words(_PROGRAM, "stack trace | stack traces | stacktrace | stacktraces | traceback | tracebacks", _STOPPED),
    Words(_PROGRAM, "null pointer | null pointers | null reference | null value | null values | nil pointer", _STOPPED),
    Words(_PROGRAM, "segfault | segfaults | segmentation fault | core dump | core dumps | kernel panic", _STOPPED),
    Words(
        _PROGRAM,
        "memory leak | memory leaks | memory pressure | memory exhaustion",
        "say that the service ran slowly or stopped",
    ),
    Words(
        _PROGRAM, "out of memory | OOM | OOMs | oomkilled | oom killer", "say that the service ran slowly or stopped"
    ),
    Words(_PROGRAM, "race condition | race conditions | deadlock | deadlocks | deadlocked | livelock", _STOPPED),
    Words(
        _PROGRAM, "stack overflow | buffer overflow | infinite loop | crash loop | crash looping | crashloop", _STOPPED
    ),
    Words(_PROGRAM, "garbage collection | garbage collector | gc pause | gc pauses", "say that the service ran slowly"),
    Words(_PROGRAM, "thread pool | thread pools | worker threads | thread dump | thread exhaustion", "our systems"),
    Words(_PROGRAM, "cron job | cron jobs | cron | cronjob | cronjobs", "say which task did not run"),
    Words(_PROGRAM, "daemon = service | daemons = services"),
    Words(
        _PROGRAM,
        "environment variable | environment variables | env var | env vars | command line flag",
        "say “a setting”",
    ),
    Words(
        _PROGRAM,
        "config = setting | configs = settings | config file = setting | configuration file = setting | config change = change of a setting | configuration change = change of a setting",
    ),
    Words(
        _PROGRAM,
        "unhandled exception | uncaught exception | exception rate | exception rates | exception handling | runtime error | runtime exception",
        _STOPPED,
    ),
    Words(
        _PROGRAM,
        "code path | code paths | codebase | code base | code change = change | code changes = changes | code push = change",
        "say “a change we made”",
    ),
    Words(
        _PROGRAM, "binary | binaries | executable | shared library | dependency version", "say which feature changed"
    ),
    Words(_PROGRAM, "memory corruption | heap | dangling pointer | integer overflow", _STOPPED),
    Words(_PROGRAM, "merge conflict | git branch | git commit | bad commit", "say “a change we made”"),
    Words(_PROGRAM, "javascript | javascript error | javascript errors | css | html error | typescript", _STOPPED),
    Words(
        _PROGRAM,
        "unit test | unit tests | integration test | integration tests | test suite | ci pipeline | build pipeline",
        "say “our checks”",
    ),
    # Data stores.
    Words(
        _DATA,
        "database = system | databases = systems | DB = system | DBs = systems",
        "say “our systems”, or what customers can’t find or save",
    ),
    Words(
        _DATA,
        "postgres | postgresql | mysql | mariadb | sql server | aurora database | oracle database",
        "say “our systems”",
    ),
    Words(_DATA, "mongodb | mongo | cassandra | dynamodb | couchbase | cockroachdb | neo4j", "say “our systems”"),
    Words(_DATA, "redis | memcached | memcache | valkey", "say “our systems”"),
    Words(_DATA, "elasticsearch | opensearch | solr | lucene", "say “search”"),
    Words(_DATA, "sql | sql query | sql queries | sql statement", _STOPPED),
    Words(
        _DATA,
        "database query | database queries | slow query | slow queries | query plan | query planner | long running query | long running queries",
        "say what was slow for customers",
    ),
    Words(
        _DATA,
        "schema | schemas | schema change | schema migration | database migration | db migration",
        "say “a change in how we store data”",
    ),
    Words(
        _DATA,
        "table lock | table locks | row lock | row locks | lock contention | locking issue | lock timeout",
        "say what was slow for customers",
    ),
    Words(
        _DATA,
        "replication | replication lag | replication delay | replica | replicas | read replica | read replicas",
        "say that data appeared late",
    ),
    Words(
        _DATA,
        "shard | shards | sharding | sharded | resharding | database partition | partition key",
        "say which customers are affected",
    ),
    Words(
        _DATA,
        "connection pool | connection pools | connection limit | max connections | connection exhaustion",
        "say “our systems were overloaded”",
    ),
    Words(_DATA, "transaction log | write ahead log | binlog | redo log | wal files | oplog", "our systems"),
    Words(
        _DATA,
        "reindex = rebuild search | reindexed | reindexing | re index | re indexing | index rebuild | index corruption",
        "say what can’t be found",
    ),
    Words(
        _DATA,
        "object storage = file storage | object store = file storage | blob storage = file storage | block storage = file storage",
    ),
    Words(_DATA, "s3 | s3 bucket | s3 buckets | storage bucket | storage buckets", "say “file storage”"),
    Words(_DATA, "datastore = system | datastores = systems | data store = system | data stores = systems"),
    Words(
        _DATA,
        "cache = stored copies | caches = stored copies | caching | cached | cache miss | cache misses | cache invalidation | cache layer",
        "say what customers see: old data, slow pages",
    ),
    Words(
        _DATA,
        "key value store | in memory store | time series database | graph database | data lake | data lakes | data warehouse",
        "our systems",
    ),
    Words(
        _DATA,
        "etl | etl job | etl jobs | etl pipeline | data pipeline | data pipelines | ingestion pipeline | ingest pipeline",
        "say which data arrives late",
    ),
    Words(_DATA, "backfill = fill in | backfills | backfilled = filled in | backfilling = filling in"),
    Words(_DATA, "stored procedure | stored procedures | foreign key | primary key | db trigger", _STOPPED),
    Words(
        _DATA,
        "eventual consistency | eventually consistent | write amplification | dirty reads | split brain",
        "say what customers see: old data, missing data",
    ),
    Words(_DATA, "ttl | ttls | time to live", "say for how long"),
    # Machinery: names of services and of infrastructure.
    Words(
        _MACHINE,
        "load balancer = system | load balancers = systems | load balancing | loadbalancer = system | ELB | ALB",
        "say “our systems”",
    ),
    Words(
        _MACHINE,
        "proxy | proxies | reverse proxy | proxy server | nginx | haproxy | envoy proxy | varnish",
        "say “our systems”",
    ),
    Words(_MACHINE, "api gateway | gateway server | gateways | gateway layer", "say “our systems”"),
    Words(
        _MACHINE,
        "dns | dns record | dns records | dns resolution | name server | name servers | nameserver | nameservers",
        "say that the address could not be reached",
    ),
    Words(
        _MACHINE,
        "cdn | cdns | edge node | edge nodes | edge server | edge servers | edge network | edge region | edge regions | points of presence",
        "say “our network”",
    ),
    Words(
        _MACHINE,
        "tls | ssl | tls certificate | ssl certificate | tls handshake | ssl handshake",
        "say “secure connections”",
    ),
    Words(
        _MACHINE,
        "tcp | udp | bgp | ospf | mpls | icmp | nat gateway | route table | routing table | vpn | vpns | vpn appliance",
        "say “our network”",
    ),
    Words(
        _MACHINE,
        "packet loss | packets | dropped packets | network partition | network jitter | jitter",
        "say that connections are slow or break off",
    ),
    Words(
        _MACHINE,
        "firewall | firewalls | firewall rule | firewall rules | waf | security group | access control list",
        "say “a protection of our network”",
    ),
    Words(
        _MACHINE,
        "core router | edge router | core switch | top of rack switch | network switch | router configuration",
        "say “our network”",
    ),
    Words(
        _MACHINE, "kubernetes | k8s | kubelet | etcd | helm chart | openshift | control plane node", "say “our systems”"
    ),
    Words(_MACHINE, "pod | pods", "say “our systems”"),
    Words(_MACHINE, "cluster = system | clusters = systems | clustering", "say “our systems”"),
    Words(_MACHINE, "node = server | nodes = servers"),
    Words(
        _MACHINE,
        "docker | docker image | containerised | containerized | container image | container registry",
        "say “our systems”",
    ),
    Words(
        _MACHINE,
        "virtual machine = server | virtual machines = servers | VM = server | VMs = servers | hypervisor = server | hypervisors = servers",
    ),
    Words(
        _MACHINE,
        "backend | backends | back end | back ends | frontend | frontends | front end | front ends",
        "say “our systems”, or which feature",
    ),
    Words(
        _MACHINE,
        "upstream | upstreams | upstream provider = provider | upstream service = provider | downstream | downstream service | downstream services",
        "say “a provider of ours”, or which feature",
    ),
    Words(
        _MACHINE,
        "microservice = service | microservices = services | micro service = service | micro services = services",
    ),
    Words(
        _MACHINE,
        "message queue | message queues | job queue | job queues | task queue | worker queue | worker queues | queue depth | queue backlog | queue backlogs | queue size | queue sizes",
        "say what is waiting",
    ),
    Words(
        _MACHINE,
        "message broker | message bus | event bus | kafka | rabbitmq | activemq | SQS | pub sub",
        "say “our systems”",
    ),
    Words(
        _MACHINE,
        "background workers | background worker | worker process | worker processes | worker pool | sidekiq | celery",
        "say which task is late",
    ),
    Words(
        _MACHINE,
        "background job | background jobs | batch job | batch jobs | async job | async jobs | delayed job",
        "say which task is late",
    ),
    Words(
        _MACHINE,
        "EC2 | RDS | ECS | EKS | GKE | CloudFront | CloudWatch | Lambda function | Lambda functions",
        "say “a provider of ours”",
    ),
    Words(
        _MACHINE,
        "control plane | data plane | service mesh | sidecar | sidecars | service discovery",
        "say “our systems”",
    ),
    Words(_MACHINE, "ingress | egress | ingress controller | network peering | transit provider", "say “our network”"),
    Words(
        _MACHINE,
        "autoscaling | auto scaling | autoscaler | autoscale | scale out | scaled out | horizontal scaling",
        "say that we added capacity",
    ),
    Words(_MACHINE, "scale up = add capacity | scaled up = added capacity | scaling up = adding capacity"),
    Words(
        _MACHINE,
        "failover = switch | failovers | fail over = switch | failed over = switched | failing over = switching | switchover = switch",
    ),
    Words(
        _MACHINE,
        "cpu | cpus | cpu usage | cpu utilization | cpu load | high load average",
        "say “our systems were overloaded”",
    ),
    Words(
        _MACHINE,
        "iops | disk i o | disk io | disk space | disk usage | RAM | swap space",
        "say “our systems were overloaded”",
    ),
    Words(_MACHINE, "kernel | kernel bug | hypervisor bug | firmware | bios", "say “a fault in our systems”"),
    Words(
        _MACHINE,
        "health check | health checks | healthcheck | heartbeat | heartbeats | liveness probe | readiness probe",
        "say “our checks”",
    ),
    Words(
        _MACHINE,
        "feature flag | feature flags | feature toggle | kill switch | canary release | canary | blue green",
        "say “a change we made”",
    ),
    Words(
        _MACHINE,
        "staging environment | production environment | prod environment | prod | production traffic",
        "say “the service”",
    ),
    Words(
        _MACHINE,
        "terraform | ansible | puppet run | chef run | infrastructure as code | orchestration",
        "say “a change we made”",
    ),
    Words(_MACHINE, "rack | racks | power distribution unit | blade server | chassis", "say “one of our data centres”"),
    # Error codes in words.
    Words(_CODE, "internal server error = error | internal server errors = errors"),
    Words(_CODE, "bad gateway | bad gateways | gateway timeout = error | gateway timeouts = errors", "say “an error”"),
    Words(
        _CODE,
        "status code | status codes | error code | error codes | response code | response codes | http error = error | http errors = errors",
        _SEEN,
    ),
    Words(
        _CODE,
        "connection refused | connection reset | connection resets | broken pipe | connection timed out",
        "say that connections fail",
    ),
    Words(
        _CODE,
        "timeout | timeouts | time out error | time out errors | timed out | times out | timing out",
        "say that pages don’t load or take very long",
    ),
    Words(_CODE, "errno | sqlstate | return code | return codes | exit code", _OUT),
    Words(
        _CODE,
        "access denied error | permission denied error | not found error | unauthorized error | forbidden error",
        _SEEN,
    ),
)

# What customers are asked to do on their own machine is in the words that stand there.
ALLOWED = (
    "browser cache",
    "browser’s cache",
    "cached images and files",
    "clear your cache",
    "clear the cache",
    "your firewall",
    "your vpn",
    "your dns",
    "your proxy",
    "your database",
    "your server",
)
