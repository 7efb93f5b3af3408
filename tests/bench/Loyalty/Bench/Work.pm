package Loyalty::Bench::Work;

# What is sent: the events of the CDNOW data by date, or made-up ones like
# them, as prepared requests in files that the generators read.
#
#     my $work = Loyalty::Bench::Work->new(dir => $dir, data => $cdnow,
#                                          events => 20000);
#     $work->{events}        [{ id, member, line (its JSON), ... }, ...]
#     $work->{members}       how many different ones
#     $work->{source}        in words
#     $work->singles         name of a file: one POST an event
#     $work->batches         one POST for 1,000 lines
#     $work->commands($bytes, $max)    from what nginx wrote to Redis: a file
#                            of its FCALLs; ($file, $calls)
#     $work->write($name, @requests)

use strict;
use warnings;

use Loyalty::Purchases;

our $LINES = 1000;              # in a batch
our $MEMBERS = 23570;           # of the made-up events
our $PATH = '/loyalty-in/events';


sub new {
    my ($class, %arg) = @_;
    my $self = bless { dir => $arg{dir} }, $class;
    my $purchases;

    if (-e "$arg{data}/CDNOW_master.txt") {
        $purchases = Loyalty::Purchases::cdnow("$arg{data}/CDNOW_master.txt");
        $self->{source} = 'the CDNOW purchases';

    } else {
        $purchases = _like_cdnow();
        $self->{source} = 'made-up purchases';
    }

    my @by_date = sort { $a->{day} <=> $b->{day} || $a->{line} <=> $b->{line}
                  } @$purchases;

    splice @by_date, $arg{events} if $arg{events} < @by_date;

    my %members = map { $_->{customer} => 1 } @by_date;

    $self->{events} = [ map { _event($_) } @by_date ];
    $self->{members} = keys %members;

    return $self;
}


# about three purchases a member within 18 months
sub _like_cdnow {
    my $random = Loyalty::Purchases::generator(1997);
    my $first = 9862;           # 1997-01-01
    my ($line, @purchases) = (0);

    for my $n (1 .. $MEMBERS) {
        my $day = $first + $random->(90);

        do {
            push @purchases, Loyalty::Purchases::purchase(
                ++$line, sprintf('%05d', $n), $day,
                Loyalty::Purchases::amount($random));
            $day += $random->(3) ? 1 + $random->(120) : 1 + $random->(10);
        } while ($day < $first + 540 && $random->(3));
    }

    return \@purchases;
}


sub _event {
    my ($p) = @_;
    my $id = sprintf '%08d', $p->{line};
    my $line = sprintf '{"id":"%s","member":"%s","type":"purchase",'
        . '"at":"%sT12:00:00Z","amount":"%d.%02d","channel":"web"}',
        $id, $p->{customer}, $p->{date}, $p->{cents} / 100,
        $p->{cents} % 100;

    return { id => $id, member => $p->{customer}, line => $line };
}


sub post {
    my ($type, $body) = @_;

    return "POST $PATH HTTP/1.1\r\nHost: localhost\r\n"
         . "User-Agent: bench/1.0\r\nAccept: */*\r\n"
         . "Content-Type: $type\r\nContent-Length: " . length($body)
         . "\r\n\r\n$body";
}


sub write {
    my ($self, $name, @requests) = @_;
    my $file = "$self->{dir}/$name";

    open my $fh, '>:raw', $file or die "$file: $!\n";
    print {$fh} map { pack('L', length $_) . $_ } @requests;
    close $fh or die "$file: $!\n";

    return $file;
}


sub singles {
    my ($self) = @_;

    return $self->{singles} //= $self->write('singles',
        map { post('application/json', $_->{line}) } @{$self->{events}});
}


sub batches {
    my ($self) = @_;

    return $self->{batches} //= $self->write('batches', batch_requests(
        map { $_->{line} } @{$self->{events}}));
}


sub batch_requests {
    my @requests;

    while (my @lines = splice @_, 0, $LINES) {
        push @requests, post('application/x-ndjson',
                             join '', map { "$_\n" } @lines);
    }

    return @requests;
}


sub commands {
    my ($self, $bytes) = @_;
    my ($pos, @calls, %kinds) = (0);

    while ($pos < length $bytes) {
        my $from = $pos;

        pos($bytes) = $pos;
        $bytes =~ /\G\*(\d+)\r\n/g or die "not a command at byte $pos\n";
        my $n = $1;
        my $name;

        for (1 .. $n) {
            $bytes =~ /\G\$(\d+)\r\n/gc or die "not a command at $pos\n";
            my $at = pos $bytes;
            $name //= substr $bytes, $at, $1;
            pos($bytes) = $at + $1 + 2;
        }

        $pos = pos $bytes;
        push @calls, substr $bytes, $from, $pos - $from if $name eq 'FCALL';
    }

    # the first call again, when Redis did not know the library
    shift @calls while @calls > @{$self->{events}};

    return ($self->write('commands', @calls), \@calls);
}


1;
