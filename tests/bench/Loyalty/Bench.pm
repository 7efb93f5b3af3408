package Loyalty::Bench;

# The servers that are measured, and one measured run.
#
#     my $bench = Loyalty::Bench->new(dir => "$root/build/bench",
#                                     events => 20000, need => [qw(lua)]);
#     $bench->run('everysec', 'single')     from an empty Redis; a hash:
#         events, seconds, rate (events a second), front, redis, tool (CPU
#         seconds), front_wait ... (seconds waiting for a core), usec (of a
#         call, as Redis counts it), p50, p99 ... (microseconds)
#
# What runs are:
#     driver    recorded commands straight to Redis
#     batch     NDJSON to nginx with the module
#     single    one event a request to the same
#     return    the same requests to "return 200" in the same nginx
#     lua       the same requests to lua-nginx-module
#     node      the same requests to Fastify behind nginx
#     few many  as batch, to programs of 10 and of 200 games
#
# All of them end in the same Redis, a process of its own on a unix socket.
# After a run the points of the busiest members are compared with what they
# should be, and before the first one the replies of the others with those of
# the module: a run that did something else dies.

use strict;
use warnings;

use Cwd qw(realpath);
use File::Basename qw(dirname);
use File::Path qw(make_path);
use JSON::PP ();
use Time::HiRes qw(time sleep);

use Loyalty::Bench::Machine;
use Loyalty::Bench::Recorder;
use Loyalty::Bench::Work;
use Loyalty::HTTP;
use Loyalty::MsgPack;
use Loyalty::Test;

our $WORKERS = 2;

my %CONNECTIONS = (batches => 4, singles => 64);
my @DRIVER = (-c => 4, -d => 32);
my $CHECKED = 20;               # members
my $COMPARED = 300;             # answers

my $root = realpath(dirname(__FILE__) . '/../../..');

# the program that the CDNOW data is replayed with
our $RULES = <<'END';
    durability none;
    unsafe_store on;
    timezone UTC;
    money USD 2;
    max_event_age 40y;
    wallet points;
    earn purchase points 1 per=1.00;
    challenge five { on purchase; goal 5; }
    challenge month { on purchase; goal 100.00 of amount; every month; }
    streak days { on purchase; every day; }
    streak weeks { on purchase; every week; }
    streak months { on purchase; every month; }
END

my $COMMON = <<'END';
    access_log off;
    keepalive_requests 100000000;
    client_max_body_size 4m;
    client_body_buffer_size 1m;
    client_body_temp_path %%TESTDIR%%/client_temp;
    proxy_temp_path %%TESTDIR%%/proxy_temp;
    fastcgi_temp_path %%TESTDIR%%/fastcgi_temp;
    uwsgi_temp_path %%TESTDIR%%/uwsgi_temp;
    scgi_temp_path %%TESTDIR%%/scgi_temp;
END


sub new {
    my ($class, %arg) = @_;
    my $self = bless { dir => $arg{dir} }, $class;
    my %need = map { $_ => 1 } @{$arg{need}};

    make_path($self->{dir});
    $self->compile($_) for qw(driver load);

    $self->{work} = Loyalty::Bench::Work->new(
        dir => $self->{dir}, events => $arg{events},
        data => $arg{data} // "$root/../shared/data/cdnow");

    $self->{redis} = redis_server();
    my $nginx = $self->module_nginx(shop => $RULES, $self->{redis});
    $self->{nginx} = $nginx;
    $self->record;

    $self->{runs} = {
        driver => { me => $nginx->port('shop') },
        batch => { nginx => $nginx, port => $nginx->port('shop'),
                   file => 'batches' },
        single => { nginx => $nginx, port => $nginx->port('shop') },
        return => { nginx => $nginx, port => $nginx->port },
    };

    $self->start_lua if $need{lua};
    $self->start_node if $need{node};
    $self->start_games if $need{few} || $need{many};
    $self->compare;

    return $self;
}


# whether a kind of run is possible here
sub can_run { return defined $_[0]{runs}{$_[1]} }


sub say { shift; print STDERR @_, "\n"; return }


# ---- servers ----

sub compile {
    my ($self, $name) = @_;

    system('cc', qw(-D_GNU_SOURCE -O2 -Wall -Wextra -o),
           "$self->{dir}/$name", "$root/tests/bench/$name.c") == 0
        or die "cannot compile $name.c\n";

    return;
}


# a Redis alone
sub redis_server {
    my $t = Loyalty::Test->new(start => 0, conf => '', redis => {
        args => ['--auto-aof-rewrite-percentage', 0] });

    $t->redis->call('CONFIG', 'SET', 'maxmemory-policy', 'noeviction');

    return $t;
}


sub socket_of { return $_[0]->dir . '/redis.sock' }


# nginx with the module; programs by name: their rules and their Redis,
# which may be "redis" lines; each has a port of its own by its name
sub module_nginx {
    my ($self, @programs) = @_;
    my $text = '';

    while (my ($name, $rules, $redis) = splice @programs, 0, 3) {
        my $where = ref $redis ? socket_of($redis) : $redis;

        $text .= <<"END";
    loyalty_program $name {
        redis unix:$where timeout=30s;
        $rules
    }

    server {
        listen 127.0.0.1:%%PORT_$name%%;

        location /loyalty-in/ { loyalty_event_api $name trusted; }
        location /loyalty/ {
            loyalty_member_api $name;
            loyalty_member \$http_x_member;
        }
    }
END
    }

    return $self->nginx('load_module %%MODULE%%;', $text);
}


sub nginx {
    my ($self, $modules, $http) = @_;

    return Loyalty::Test->new(redis => 0, conf => <<"END");
@{[ $> == 0 ? 'user root;' : '' ]}
daemon off;
worker_processes $WORKERS;
pid %%TESTDIR%%/nginx.pid;
error_log %%TESTDIR%%/error.log warn;
$modules

events {
    worker_connections 1024;
}

http {
$COMMON
$http

    server {
        listen 127.0.0.1:%%PORT%%;

        location / {
            default_type application/json;
            return 200 '@{[ REPLY() ]}';
        }
    }
}
END
}


# what "return" answers: as much as the module does
sub REPLY {
    return '{"id":"00000001","member":"00001","duplicate":false,"effects":['
        . '{"type":"points","wallet":"points","amount":11,"reason":'
        . '"earn purchase","balance":11},{"type":"challenge","name":"five",'
        . '"progress":1,"goal":5,"completed":false},{"type":"challenge",'
        . '"name":"month","progress":"11.77","goal":"100.00","completed":'
        . 'false,"instance":"1997-01"},{"type":"streak","name":"days",'
        . '"length":1,"best":1,"period":"1997-01-01"}],'
        . '"balances":{"points":11}}';
}


# The commands that the module sends for these very events, in their order:
# one worker, one connection, a recorder in between.  What a program is to
# Redis is learnt from them.
sub record {
    my ($self) = @_;
    my $work = $self->{work};
    my $socket = socket_of($self->{redis});
    my $listen = $self->{redis}->dir . '/recorder.sock';

    $self->say('recording the commands of ', scalar @{$work->{events}},
               ' events');

    my $recorder = Loyalty::Bench::Recorder->new($listen, $socket,
                                                 "$self->{dir}/recorded");
    local $WORKERS = 1;
    my $nginx = $self->module_nginx('shop', $RULES, $listen);

    # the library is loaded by the first event, which is sent twice
    my $first = $work->write('first', Loyalty::Bench::Work::post(
        'application/json', $work->{events}[0]{line}));
    $self->load($nginx->port('shop'), $first);
    $self->{redis}->redis->call('FLUSHALL');

    $self->load($nginx->port('shop'), $work->batches, -c => 1);
    $nginx->stop;

    my ($file, $calls) = $work->commands($recorder->stop);

    $self->{commands} = $file;
    $self->{program} = program_of($socket, @$calls);

    return;
}


# ---- what a program is to Redis ----

# { redis, event, constants, type_hash, rules, tags }; bytes are in
# hexadecimal
sub program_of {
    my ($socket, @calls) = @_;
    my @call = _words($calls[0]);
    my @arg = Loyalty::MsgPack::decode_all($call[7]);
    my %program = (redis => $socket, event => $call[1],
                   type_hash => unpack('H*', $arg[4]),
                   constants => unpack('H*', $arg[9]));
    pop @arg;                           # nothing has a slot of its own
    my @rest = splice @arg, 11;
    my @names = _names();

    while (@rest) {
        my $blob = shift @rest;
        my ($kind, $hash, @more)
            = @{ (Loyalty::MsgPack::decode_all($blob))[0] };
        my %rule = (blob => unpack('H*', $blob), rest => '',
                    hash => unpack('H*', $hash), %{ shift @names });

        # a monthly challenge and streaks, as docs/internals.md says
        if ($kind == 2 && $more[2] == 1) {
            shift @rest;
            $rule{period} = 'month';
            $rule{rest} = unpack 'H*', join '', map {
                Loyalty::MsgPack::encode($_) } splice @rest, 0, 2;

        } elsif ($kind == 3) {
            shift @rest;
            $rule{period} = (qw(day week month))[$more[0] - 1];
        }

        push @{$program{rules}}, \%rule;
    }

    for my $call (@calls) {
        my ($tag, $p) = (_words($call))[3] =~ /^(\{[^:]+:(\d+)\.\d+\}):m:/;
        $program{tags}[$p] //= $tag;
    }

    return \%program;
}


# the rules in their order, as effects name them
sub _names {
    my @names;

    while ($RULES =~ /^\s*(earn|challenge|streak) (\w+)(.*)$/gm) {
        my ($kind, $name, $more) = ($1, $2, $3);

        push @names, { name => $name, reason => "$kind $name",
                       $more =~ /of amount/ ? (money => 1) : () };
    }

    return @names;
}


sub _words {
    my ($command) = @_;
    my @words;

    pos($command) = 0;
    $command =~ /\G\*\d+\r\n/gc;

    while ($command =~ /\G\$(\d+)\r\n/gc) {
        push @words, substr $command, pos $command, $1;
        pos($command) = pos($command) + $1 + 2;
    }

    return @words;
}


sub program_file {
    my ($self) = @_;
    my $file = "$self->{dir}/program.json";

    open my $fh, '>:raw', $file or die "$file: $!\n";
    print {$fh} JSON::PP->new->canonical->encode($self->{program});
    close $fh or die "$file: $!\n";

    return $file;
}


# ---- the others ----

sub start_lua {
    my ($self) = @_;
    my ($modules) = grep { -e "$_/ngx_http_lua_module.so" }
                    qw(/usr/lib/nginx/modules /usr/share/nginx/modules);

    if (!defined $modules) {
        $self->{missing}{lua} = 'libnginx-mod-http-lua is not installed';
        return;
    }

    my $file = $self->program_file;

    my $nginx = $self->nginx(<<"END", <<"EVENT");
load_module $modules/ndk_http_module.so;
load_module $modules/ngx_http_lua_module.so;
END
    lua_package_path "$root/tests/bench/others/?.lua;;";
    init_by_lua_block { require 'event'.init('$file') }

    server {
        listen 127.0.0.1:%%PORT_lua%%;
        location / { content_by_lua_block { require 'event'.event() } }
    }
EVENT

    $self->{runs}{lua} = { nginx => $nginx, port => $nginx->port('lua'),
                           me => $self->{nginx}->port('shop') };

    return;
}


sub start_node {
    my ($self) = @_;
    my $modules = "$self->{dir}/node";

    if (!-e "$modules/node_modules/fastify") {
        $self->say('installing Fastify and ioredis');
        make_path($modules);
        system("command -v node npm > /dev/null || "
               . "'$root/build-aux/deps.sh' node 1>&2");
        system("cp '$root/tests/bench/others/package.json' '$modules' && "
               . "cd '$modules' && npm install --no-audit --no-fund "
               . '--no-package-lock --loglevel=error > npm.log 2>&1');
    }

    if (!-e "$modules/node_modules/fastify") {
        $self->{missing}{node} = 'npm could not install Fastify';
        return;
    }

    my $nginx = $self->nginx('', <<'END');
    upstream fastify {
        server 127.0.0.1:%%PORT_fastify%%;
        keepalive 64;
        keepalive_requests 100000000;
    }

    server {
        listen 127.0.0.1:%%PORT_node%%;
        location / {
            proxy_pass http://fastify;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }
    }
END

    $self->{fastify} = $nginx->_spawn('node.log', 'sh', '-c',
        'cd "$1" && shift && exec node "$@"', 'sh', $modules,
        "$root/tests/bench/others/event.js", $self->program_file,
        $nginx->port('fastify'));

    $nginx->wait_for(sub {
        eval { Loyalty::HTTP::dial('127.0.0.1:' . $nginx->port('fastify'));
               1 }
    }) or die "Fastify did not start\n", $nginx->read_file('node.log');

    $self->{runs}{node} = { nginx => $nginx, port => $nginx->port('node'),
                            me => $self->{nginx}->port('shop'),
                            more => [ $self->{fastify} ] };

    return;
}


sub stop_node {
    my ($self) = @_;

    kill 'TERM', delete $self->{fastify} if defined $self->{fastify};
    return;
}

sub DESTROY { $_[0]->stop_node }


# Two programs with three games that match, and 7 or 197 that do not: of
# other types, of another channel, of a key that the events do not have.
sub start_games {
    my ($self) = @_;
    my $nginx = $self->module_nginx(
        g010 => games(7), $self->{redis}, g200 => games(197), $self->{redis});

    for (['few', 'g010'], ['many', 'g200']) {
        my ($what, $program) = @$_;

        $self->{runs}{$what} = { nginx => $nginx, file => 'batches',
                                 port => $nginx->port($program) };
    }

    return;
}


sub games {
    my ($n) = @_;

    return join "\n", $RULES =~ s/^\s*streak (?:weeks|months).*\n//mgr, map {
        my $match = (qw(visit purchase purchase))[$_ % 3] . '; '
            . ('', "match channel = c$_;", "match campaign = k$_;")[$_ % 3];

        $_ % 2 ? "challenge other$_ { on $match goal 5; every week; }"
               : "streak other$_ { on $match every day; }"
    } 1 .. $n;
}


# each of the others answers what the module answers
sub compare {
    my ($self) = @_;
    my @events = @{$self->{work}{events}};
    my %n;

    # members who come often show most
    $n{$_->{member}}++ for @events;
    @events = grep { $n{$_->{member}} > 5 } @events;
    splice @events, $COMPARED if @events > $COMPARED;

    my @expected = $self->answers($self->{nginx}->port('shop'), @events);

    for my $name (grep { $self->can_run($_) } qw(lua node)) {
        my @answers = $self->answers($self->{runs}{$name}{port}, @events);

        for my $i (0 .. $#events) {
            $answers[$i] eq $expected[$i] or die "$name answers\n",
                "$answers[$i]\ninstead of\n$expected[$i]\n";
        }
    }

    return;
}


# to each event by itself; keys in order, for two answers to be compared
sub answers {
    my ($self, $port, @events) = @_;
    my $json = JSON::PP->new->canonical;

    $self->reset('none');

    return map {
        my $response = Loyalty::HTTP::exchange(10, [
            Loyalty::HTTP::dial("127.0.0.1:$port"),
            Loyalty::HTTP::format_request('POST', $Loyalty::Bench::Work::PATH,
                                          $_->{line}) ]);

        $json->encode($response->json // { answer => $response->raw });
    } @events;
}


# ---- one run ----

sub reset {
    my ($self, $mode) = @_;
    my $redis = $self->{redis}->redis;

    $redis->call('CONFIG', 'SET', 'appendonly', 'no');
    $redis->call('FLUSHALL', 'SYNC');

    if ($mode ne 'none') {
        $redis->call('CONFIG', 'SET', 'appendfsync', $mode);
        $redis->call('CONFIG', 'SET', 'appendonly', 'yes');
        $self->{redis}->wait_for(sub {
            $redis->call('INFO', 'persistence')
                =~ /^aof_rewrite_in_progress:0\r$/m
        }) or die "Redis does not finish its append-only file\n";
    }

    $redis->call('CONFIG', 'RESETSTAT');

    return;
}


sub run {
    my ($self, $mode, $what, @options) = @_;
    my $run = $self->{runs}{$what};
    my $file = $run->{file} // 'singles';

    $self->reset($mode);

    my $meter = Loyalty::Bench::Machine->new(
        front => [ $self->front($what) ],
        redis => [ $self->{redis}{redis}{pid} ]);

    $meter->start;
    my %tool = $what eq 'driver' ? $self->drive(@options)
             : $self->load($run->{port}, $self->{work}->$file,
                           -c => $CONNECTIONS{$file}, @options);
    my %used = $meter->stop;
    my $events = $file eq 'batches' ? @{$self->{work}{events}}
               : $tool{requests};

    my %result = (%tool, %used, tool => $tool{cpu}, events => $events,
                  rate => $events / $tool{seconds});

    if ($what ne 'return') {
        $result{usec} = $self->called($what, $events);
        $self->check($run->{me} // $run->{port}, $events);
    }

    return \%result;
}


# the processes that stand before Redis
sub front {
    my ($self, $what) = @_;
    my $run = $self->{runs}{$what};

    return ($run->{nginx} ? processes($run->{nginx}) : (),
            @{$run->{more} // []});
}


# master and workers
sub processes {
    my ($nginx) = @_;

    return ($nginx->pid, $nginx->workers);
}


sub drive {
    my ($self, @options) = @_;

    return $self->tool('driver', socket_of($self->{redis}),
                       $self->{commands}, @DRIVER, @options);
}


sub load {
    my ($self, $port, $file, @options) = @_;

    return $self->tool('load', "127.0.0.1:$port", $file, @options);
}


sub tool {
    my ($self, $name, @args) = @_;

    open my $fh, '-|', "$self->{dir}/$name", @args or die "$name: $!\n";
    my $said = do { local $/; <$fh> } // '';
    close $fh or die "$name @args: failed\n$said";

    return $said =~ /(\w+)=([0-9.]+)/g;
}


# microseconds of a call, when there was one for each event
sub called {
    my ($self, $what, $events) = @_;
    my $info = $self->{redis}->redis->call('INFO', 'commandstats');
    my ($calls, $usec, $rejected, $failed) = $info
        =~ /^cmdstat_fcall:calls=(\d+),.*usec_per_call=([0-9.]+),rejected_calls=(\d+),failed_calls=(\d+)/m
        or die "no calls in:\n$info";

    if ($calls != $events || $rejected || $failed) {
        die "$what: $events events, but $calls calls, $failed failed\n";
    }

    return $usec;
}


# the points of those who have most events among the first so many
sub check {
    my ($self, $port, $events) = @_;
    my $all = $self->{work}{events};
    my (%n, %points);

    for my $e (@$all[0 .. $events - 1]) {
        my ($whole) = $e->{line} =~ /"amount":"(\d+)\./;
        $n{$e->{member}}++;
        $points{$e->{member}} += $whole;
    }

    my @members = sort { $n{$b} <=> $n{$a} || $a cmp $b } keys %n;

    for my $member (@members[0 .. $CHECKED - 1]) {
        my ($response) = Loyalty::HTTP::exchange(10, [
            Loyalty::HTTP::dial("127.0.0.1:$port"),
            Loyalty::HTTP::format_request('GET', '/loyalty/me', undef,
                                          'X-Member' => $member) ]);
        my $has = $response->json->{wallets}{points}{balance};

        $has == $points{$member}
            or die "member $member has $has points instead of "
                   . "$points{$member}\n";
    }

    return;
}


1;
