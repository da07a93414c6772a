//! The examples that people start from: those of AWS's guide and of the blogs, as they are meant, and as a PDF of the
//! guide prints them, which a person may copy.

use super::{HEAD, check, check_body};

#[test]
fn the_guide_s_server_examples_are_clean() {
    let hook =
        |event: &str, script: &str| format!("  {event}:\n    - location: scripts/{script}\n      timeout: 300\n");
    let wordpress = format!(
        "{HEAD}files:\n  - source: /\n    destination: /var/www/html/WordPress\nhooks:\n{}{}{}      runas: root\n",
        hook("BeforeInstall", "install_dependencies.sh"),
        hook("AfterInstall", "change_permissions.sh"),
        hook("ApplicationStop", "stop_server.sh"),
    );
    check("V29 G:18138", &wordpress, &[]);
    let sample = "files:\n  - source: Config/config.txt\n    destination: /webapps/Config\n  - source: source\n    destination: /webapps/myApp\nhooks:\n  BeforeInstall:\n    - location: Scripts/UnzipResourceBundle.sh\n    - location: Scripts/UnzipDataBundle.sh\n  AfterInstall:\n    - location: Scripts/RunResourceTests.sh\n      timeout: 180\n  ValidateService:\n    - location: Scripts/MonitorService.sh\n      timeout: 3600\n      runas: codedeployuser\n";
    check_body("H18 G:18066", sample, &[]);
    check_body(
        "G:4422",
        "files:\n  - source: ./install.txt\n    destination: /tmp/CodeDeployExample\nhooks:\n  AfterInstall:\n    - location: ./scripts/after-install.sh\n      timeout: 900\n",
        &[],
    );
    let windows = "version: 0.0\nos: windows\nfiles:\n  - source: \\index.html\n    destination: c:\\inetpub\\wwwroot\nhooks:\n  BeforeInstall:\n    - location: \\before-install.bat\n      timeout: 900\n";
    check("F40 G:3779", windows, &[]);
    check("F09 G:16855", &windows.replace("\\index.html", "\\"), &[]);
    check_body("F09", "files:\n  - source: /\n    destination: /tmp/d\nfile_exists_behavior: OVERWRITE\n", &[]);
}

const PERMISSIONS: &str = "files:
  - source: ./my-file-1.txt
    destination: /tmp/my-app
permissions:
  - object: /tmp/my-app
    pattern: \"*-3.txt\"
    owner: adm
    mode: 464
    type:
      - file
  - object: /tmp/my-app
    pattern: \"*.txt\"
    except: [my-file-3.txt]
    owner: ec2-user
    mode: 444
    type:
      - file
  - object: /tmp/my-app
    pattern: \"*my-folder*\"
    except: [/tmp/my-app/my-folder-2/my-folder-3]
    owner: ec2-user
    mode: 555
    type:
      - directory
  - object: /tmp/my-app/my-folder-2/my-folder-3
    group: wheel
    mode: 564
    type:
      - directory
";

#[test]
fn the_guide_s_permissions_say_what_the_agent_does_not_do() {
    check_body("P07", PERMISSIONS, &["Portability except-path 22:13", "Portability object-itself 27:5"]);
    let second = "files:\n  - source: /\n    destination: /w\npermissions:\n  - object: /w\n    pattern: \"*\"\n    except: [/w/ReadMe.txt]\n    owner: bob\n    group: writers\n    mode: 644\n    acls:\n      - u:mary:rw\n      - m::rw\n    context:\n      user: unconfined_u\n      type: httpd_sys_content_t\n      range: s0\n    type:\n      - file\n";
    check_body("P08 G:17260", second, &["Portability except-path 9:13", "Portability context-user 17:7"]);
}

#[test]
fn the_blog_s_examples_are_told_what_the_blog_learned() {
    let site = "files:\n  - source: /\n    destination: /var/www/example.com\npermissions:\n  - object: /var/www/example.com\n    pattern: \"**\"\n    owner: www-data\n    group: www-data\n    type:\n      - directory\n      - file\nhooks:\n  ApplicationStop:\n    - location: .aws/application-stop.sh\n      timeout: 30\n      runas: root\n  AfterInstall:\n    - location: .aws/after-install-www-data.sh\n      timeout: 300\n      runas: www-data\n";
    check_body("B:198", site, &["Portability runas-shell 22:14"]);
    let mode = site.replace("    type:\n", "    mode: 4755\n    type:\n");
    let expected =
        ["Warning special-bits 11:11", "Portability special-bits-lost 11:11", "Portability runas-shell 23:14"];
    check_body("B:303", &mode, &expected);
    let pair = "files:\n  - source: /\n    destination: /w\npermissions:\n  - object: /w\n    pattern: \"**\"\n    owner: www-data\n    mode: 4750\n    type:\n      - directory\n  - object: /w\n    pattern: \"**\"\n    owner: www-data\n    mode: 640\n    type:\n      - file\n";
    check_body("P23 B:330", pair, &[]);
    let command =
        "hooks:\n  ApplicationStop:\n    - location: service nginx stop\n      timeout: 30\n      runas: root\n";
    check_body("H06 B:703", command, &["Error command 5:17"]);
}

#[test]
fn the_guide_s_serverless_examples_are_told_their_functions_names() {
    let ecs = "version: 0.0\nResources:\n  - TargetService:\n      Type: AWS::ECS::Service\n      Properties:\n        TaskDefinition: \"arn:aws:ecs:us-east-1:111222333444:task-definition/my-family:1\"\n        LoadBalancerInfo:\n          ContainerName: \"SampleApplicationName\"\n          ContainerPort: 80\n        PlatformVersion: \"LATEST\"\n        NetworkConfiguration:\n          AwsVpcConfiguration:\n            Subnets: [\"subnet-1234abcd\", \"subnet-5678abcd\"]\n            SecurityGroups: [\"sg-12345678\"]\n            AssignPublicIp: \"ENABLED\"\n        CapacityProviderStrategy:\n          - Base: 1\n            CapacityProvider: \"FARGATE_SPOT\"\n            Weight: 2\n          - Base: 0\n            CapacityProvider: \"FARGATE\"\n            Weight: 1\n";
    check("G:17883", ecs, &[]);
    check(
        "G:17903",
        &format!("{ecs}Hooks:\n  - BeforeInstall: \"ValidateBeforeInstall\"\n"),
        &["Warning function-name 24:20"],
    );
    let lambda = "version: 0.0\nresources:\n  - my-function:\n      type: \"AWS::Lambda::Function\"\n      properties:\n        name: \"my-function\"\n        alias: \"live\"\n        currentversion: \"1\"\n        targetversion: \"2\"\nhooks:\n  - BeforeAllowTraffic: CodeDeployHook_before\n  - AfterAllowTraffic: CodeDeployHook_after\n";
    check("G:16886", lambda, &[]);
}

#[test]
fn what_the_pdf_prints_wrong_is_told() {
    let pattern = |text: &str| PERMISSIONS.replace("\"*.txt\"", text);
    check_body(
        "0.2 G:17184",
        &pattern("\".*.txt\""),
        &["Portability except-path 22:13", "Portability object-itself 27:5"],
    );
    let outdented = "permissions:\n  - object: /w\n    mode: 644\n  acls:\n    - m::rw\n";
    check_body("0.2 G:17267", outdented, &["Error not-yaml 6:3"]);
    let indented = "files:\n  - source: /\n    destination: /d\n  file_exists_behavior: OVERWRITE\n";
    check_body("0.2 G:16669", indented, &["Error not-yaml 6:3"]);
    check_body(
        "0.2 G:12690 V11",
        "hooks:\nApplicationStop:\n  - location: a.sh\nBeforeInstall:\n  - location: b.sh\n",
        &["Warning blank 3:1", "Error event-outside-hooks 4:1", "Error event-outside-hooks 6:1"],
    );
    let acl = "files:\n  - source: /\n    destination: /w\npermissions:\n  - object: /w\n    acl: [\"m::rw\"]\n";
    check_body("0.2 G:12652 V24", acl, &["Error unknown-key 8:5"]);
    let lambda = "version: 0.0\nResources:\n  - f: # the function\n    Type: AWS::Lambda::Function\n    Properties:\n      Name: f\n";
    check("0.2 G:12517 V38", lambda, &["Error resources 4:5"]);
    check("0.2 G:5939", "{\"version\": \"0.0,\n \"Resources\": []}\n", &["Error not-yaml 2:3"]);
    let colons = "version: 0.0\nResources:\n  - TargetService:\n      Type: AWS::ECS::Service\n      Properties:\n        TaskDefinition: arn:aws:ecs:us-east-1:111222333444::task-definition/f:1\n        LoadBalancerInfo:\n          ContainerName: c\n          ContainerPort: 80\n";
    check("0.2 G:6292 V37", colons, &["Error task-definition 6:25"]);
}
