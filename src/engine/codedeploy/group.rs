//! What a deployment group is for, in a line that a person can read (rows 3 and 5 to 7). Pure; it changes nothing.

use aws_sdk_codedeploy::types::{DeploymentGroupInfo, Ec2TagFilter, LoadBalancerInfo, TagFilter};

/// Its instances, or that it has none: by tags, Auto Scaling groups, and load balancers.
pub(super) fn summary(group: &DeploymentGroupInfo) -> String {
    let mut parts = Vec::new();
    let of_ec2 = |it: &Ec2TagFilter| tag(it.key(), it.value());
    let of_own = |it: &TagFilter| tag(it.key(), it.value());
    let ec2 = group.ec2_tag_set().map(|it| it.ec2_tag_set_list()).unwrap_or_default();
    let own = group.on_premises_tag_set().map(|it| it.on_premises_tag_set_list()).unwrap_or_default();
    let any = |tags: Vec<String>| if tags.is_empty() { vec![] } else { vec![tags] };
    let groups: Vec<Vec<String>> = ec2.iter().map(|it| it.iter().map(of_ec2).collect()).collect();
    let ec2 = [any(group.ec2_tag_filters().iter().map(of_ec2).collect()), groups].concat();
    let groups: Vec<Vec<String>> = own.iter().map(|it| it.iter().map(of_own).collect()).collect();
    let own = [any(group.on_premises_instance_tag_filters().iter().map(of_own).collect()), groups].concat();
    parts.extend(tagged("instances", &ec2));
    parts.extend(tagged("machines of one's own", &own));
    let scaling: Vec<String> =
        group.auto_scaling_groups().iter().filter_map(|it| it.name()).map(|name| format!("`{name}`")).collect();
    if !scaling.is_empty() {
        parts.push(format!("instances of the Auto Scaling groups {}", scaling.join(", ")));
    }
    for service in group.ecs_services() {
        let (cluster, name) = (service.cluster_name().unwrap_or_default(), service.service_name().unwrap_or_default());
        parts.push(format!("service `{cluster}:{name}`"));
    }
    if let Some(balancers) = group.load_balancer_info().and_then(balancers) {
        parts.push(balancers);
    }
    if parts.is_empty() { "no instance is named".to_owned() } else { parts.join("; ") }
}

/// `instances with (Env=prod or Env=test) and Role=web`.
fn tagged(what: &str, groups: &[Vec<String>]) -> Option<String> {
    let several = groups.len() > 1;
    let any = |tags: &Vec<String>| match tags.len() {
        1 => tags.concat(),
        _ if several => format!("({})", tags.join(" or ")),
        _ => tags.join(" or "),
    };
    let all: Vec<String> = groups.iter().map(any).collect();
    (!all.is_empty()).then(|| format!("{what} with {}", all.join(" and ")))
}

/// A tag to look for; a star where anything will do.
fn tag(key: Option<&str>, value: Option<&str>) -> String {
    let part = |it: Option<&str>| it.filter(|it| !it.is_empty()).unwrap_or("*").to_owned();
    format!("{}={}", part(key), part(value))
}

fn balancers(info: &LoadBalancerInfo) -> Option<String> {
    let classic = info.elb_info_list().iter().filter_map(|it| it.name());
    let targets = info.target_group_info_list().iter().filter_map(|it| it.name());
    let pairs = info.target_group_pair_info_list().iter().flat_map(|it| it.target_groups()).filter_map(|it| it.name());
    let names: Vec<String> = classic.chain(targets).chain(pairs).map(|name| format!("`{name}`")).collect();
    (!names.is_empty()).then(|| format!("behind {}", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use aws_sdk_codedeploy::types::{
        AutoScalingGroup, Ec2TagSet, EcsService, ElbInfo, OnPremisesTagSet, TargetGroupInfo,
    };

    use super::*;

    fn ec2(key: Option<&str>, value: Option<&str>) -> Ec2TagFilter {
        Ec2TagFilter::builder().set_key(key.map(str::to_owned)).set_value(value.map(str::to_owned)).build()
    }

    #[test]
    fn a_group_is_told_by_its_tags_rows_3_and_5() {
        let empty = DeploymentGroupInfo::builder();
        assert_eq!(summary(&empty.clone().build()), "no instance is named");
        let any =
            empty.clone().ec2_tag_filters(ec2(Some("Name"), Some("web*"))).ec2_tag_filters(ec2(Some("New"), None));
        assert_eq!(summary(&any.build()), "instances with Name=web* or New=*");
        let env = vec![ec2(Some("Env"), Some("prod")), ec2(Some("Env"), Some("test"))];
        let set = Ec2TagSet::builder().ec2_tag_set_list(env).ec2_tag_set_list(vec![ec2(None, Some("web"))]).build();
        let own = TagFilter::builder().key("Rack").value("3").build();
        let own = OnPremisesTagSet::builder().on_premises_tag_set_list(vec![own]).build();
        let both = empty.ec2_tag_set(set).on_premises_tag_set(own).build();
        assert_eq!(
            summary(&both),
            "instances with (Env=prod or Env=test) and *=web; machines of one's own with Rack=3"
        );
    }

    #[test]
    fn auto_scaling_services_and_load_balancers_are_named_rows_6_and_7() {
        let balancers = LoadBalancerInfo::builder()
            .elb_info_list(ElbInfo::builder().name("classic").build())
            .target_group_info_list(TargetGroupInfo::builder().name("web").build());
        let group = DeploymentGroupInfo::builder()
            .auto_scaling_groups(AutoScalingGroup::builder().name("green").build())
            .ecs_services(EcsService::builder().cluster_name("main").service_name("web").build())
            .load_balancer_info(balancers.build());
        let expected = "instances of the Auto Scaling groups `green`; service `main:web`; behind `classic`, `web`";
        assert_eq!(summary(&group.build()), expected);
    }
}
